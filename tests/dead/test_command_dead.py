"""`manage.py jobs dead`: what people and scripts read, and what is refused."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from jobs.models import Job
from tests.dead.conftest import dead, lane

CAUSE = "c" * 16
pytestmark = pytest.mark.django_db


def said(*words):
    out = StringIO()
    call_command("jobs", "dead", *words, stdout=out)
    return out.getvalue()


def test_the_list_has_a_line_a_cause_and_counts_what_has_none_yet():
    dead(1500, error="Strange: <b>\x1b[31mred</b>\\ud800" + "x" * 500, release="r1")
    dead(1, cause="d" * 16, queue="email", task="emails.gone")
    dead(2, cause="")
    lines = said().splitlines()
    assert len(lines) == 4
    assert all(word in lines[1] + lines[2] for word in (CAUSE, "1,500", "dead.fail", "r1"))
    assert "\x1b" not in "".join(lines)
    assert "2" in lines[3]
    assert len(said("--queue", lane.name).splitlines()) == 3
    document = json.loads(said("--json"))
    assert [one["count"] for one in document["causes"]] in ([1500, 1], [1, 1500])
    assert document["without_cause"] == 2


def test_one_cause_is_told_whole():
    dead(3)
    assert "the last failure" in said(CAUSE)
    document = json.loads(said(CAUSE, "--json"))
    assert (document["count"], document["since"]["succeeded"]) == (3, 0)
    Job.objects.all().delete()
    with pytest.raises(CommandError, match="not known"):
        said(CAUSE)


def test_a_cause_is_retried_at_a_pace_and_discarded():
    dead(5)
    assert json.loads(said(CAUSE, "--retry", "--pace", "2/m", "--limit", "2", "--json"))["retried"] == 2
    assert said(CAUSE, "--discard", "--dry-run") == "3 jobs would be discarded\n"
    assert said(CAUSE, "--discard") == "3 jobs discarded\n"
    assert "no dead letter" in said(CAUSE, "--retry") + said(CAUSE)


@pytest.mark.parametrize(
    "words",
    [
        [CAUSE, "--pace", "3/s"],
        [CAUSE, "--retry", "--pace", "3"],
        [CAUSE, "--retry", "--pace", "0/s"],
        [CAUSE, "--retry", "--discard"],
        ["--retry"],
        ["--discard"],
        [CAUSE, "--discard", "--queue", "email"],
        [CAUSE, "--older-than", "7d"],
        ["nonsense"],
        ["f" * 16, "--retry"],
    ],
)
def test_what_makes_no_sense_is_refused(words):
    dead(1)
    with pytest.raises(CommandError):
        said(*words)
    assert Job.objects.get().state == "failed"
