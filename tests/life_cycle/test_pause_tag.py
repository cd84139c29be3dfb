"""What people do with the tags of a queue, in Python and on the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections

import jobs
from jobs import InvalidOption, Queue, RetryLater, UnknownQueue
from jobs.broker import get_broker
from jobs.history.verdict import job_verdict
from jobs.models import Job, QueueState
from jobs.operate import tags
from jobs.testing import run_jobs
from tests.each_broker import each_broker as each_broker

lane = Queue("tags_lane")
ran: list[str] = []


@lane.task(name="tags.note")
def note(name: str) -> None:
    ran.append(name)
    if name == "again" and ran.count(name) == 1:
        raise RetryLater(3600)


@pytest.fixture(autouse=True)
def _lane_is_configured(each_broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.defined.queues", lambda: {lane.name: lane})
    ran.clear()


def say(*words: str) -> str:
    out = StringIO()
    call_command("jobs", *words, stdout=out)
    return out.getvalue()


def document(*words: str) -> Any:
    return json.loads(say(*words, "--json"))


def test_paused_tag_starts_nothing_until_it_is_resumed_and_was_paused_before_its_first_job() -> None:
    jobs.pause_tag(lane, "import:42")
    jobs.pause_tag(lane, "é, b")
    first = note.using(tags=["x", "import:42"]).enqueue("first")
    for name, tag in (("free", "import:4"), ("second", "é, b"), ("third", "import:42")):
        note.using(tags=[tag]).enqueue(name)
    run_jobs()
    assert (ran, jobs.paused_tags(lane)) == (["free"], ("import:42", "é, b"))
    if get_broker().rows_are_the_queue:
        assert "Its tag is paused (import:42): resume it first." in job_verdict(Job.objects.get(pk=first.id))
    jobs.resume_tag(lane, "import:42")
    run_jobs()
    jobs.resume_tag(lane, "é, b")
    run_jobs()
    assert (ran, jobs.paused_tags(lane)) == (["free", "first", "third", "second"], ())


def test_a_retry_that_is_yet_to_come_is_not_made_due_by_a_test_meanwhile() -> None:
    note.using(tags=["x"]).enqueue("again")
    run_jobs()
    jobs.pause_tag(lane, "x")
    run_jobs(include_scheduled=True)
    assert ran == ["again"]
    jobs.resume_tag(lane, "x")
    run_jobs(include_scheduled=True)
    assert ran == ["again", "again"]


def test_each_act_leaves_a_line_in_the_admins_log_and_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    person = get_user_model().objects.create(email="ana@example.com")
    jobs.pause_tag(lane, "a", by=person)
    jobs.resume_tag(lane, "a", by=person)
    told = LogEntry.objects.order_by("pk").values_list("object_id", "change_message")
    assert list(told) == [(lane.name, "Paused tag a."), (lane.name, "Resumed tag a.")]
    for tag in ("", " ", 'a"b', "a\x1eb", "a" * 101, None):
        for act in (jobs.pause_tag, jobs.resume_tag):
            with pytest.raises(InvalidOption, match="tag"):
                act(lane, tag)  # type: ignore[arg-type]
    with pytest.raises(UnknownQueue):
        jobs.paused_tags("nowhere")
    monkeypatch.setattr(tags, "MOST", 1)
    jobs.pause_tag(lane, "a")
    jobs.pause_tag(lane, "a")
    with pytest.raises(InvalidOption, match="resume one before 'b'"):
        jobs.pause_tag(lane, "b")


def test_command_pauses_and_resumes_and_status_tells() -> None:
    note.using(tags=["import:42"]).enqueue("first")
    assert say("pause", lane.name, "--tag", "import:42") == "tags_lane, import:42: paused\n"
    run_jobs()
    assert ran == []
    (seen,) = [row for row in document("status")["queues"] if row["queue"] == lane.name]
    assert (seen["paused"], seen["paused_tags"], seen["due"]) == (False, ["import:42"], 1)
    (finding,) = [one for one in document("status")["findings"] if one["code"] == "paused_tags"]
    assert "`manage.py jobs resume tags_lane --tag TAG`" in finding["text"]
    assert not finding["needs_person"]
    assert "tag import:42 paused" in say("status")
    assert document("resume", lane.name, "--tag", "import:42") == {
        "queue": lane.name,
        "tag": "import:42",
        "done": "resumed",
    }
    run_jobs()
    assert ran == ["first"]


@pytest.mark.parametrize(
    ("pause", "resume"),
    [
        (lambda: jobs.pause_tag(lane, "x"), lambda: jobs.resume_tag(lane, "x")),
        (lambda: jobs.pause(lane), lambda: jobs.resume(lane)),
    ],
    ids=["of a tag", "of the queue"],
)
def test_of_a_pause_and_a_resume_at_once_the_broker_holds_the_one_that_is_kept(
    pause: Callable[[], None], resume: Callable[[], None]
) -> None:
    both = threading.Barrier(2)

    def act(what: Callable[[], None]) -> None:
        both.wait(60)
        what()
        connections.close_all()

    for _ in range(20):
        threads = [threading.Thread(target=act, args=(what,)) for what in (pause, resume)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        counts, kept = jobs.counts(lane), QueueState.objects.get(queue=lane.name)
        assert (counts.paused, get_broker().counts(lane.name).paused_tags) == (kept.paused, jobs.paused_tags(lane))
        assert get_broker().counts(lane.name).paused == kept.paused
