"""`manage.py jobs`: one JSON document with `--json`; ends with 0 done, 1 not found or refused, 2 wrong usage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from jobs import Fixed, PermanentError, Queue, clock
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.history import lookup
from jobs.models import Job
from jobs.testing import run_jobs

pytestmark = pytest.mark.django_db

lane = Queue("command_lane", attempts=1, backoff=Fixed(0))


@lane.task(name="command.add", personal=("secret",))
def add(left: int, right: int = 0, secret: str = "") -> int:
    return left + right


@lane.task(name="command.fail")
def fail() -> None:
    raise PermanentError("no luck")


@pytest.fixture(autouse=True)
def _lane_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """`find_task` and the overview look through the project's queues."""
    known = {"email": Queue("email"), lane.name: lane}
    monkeypatch.setattr("jobs.defined.queues", lambda: known)


def say(*words: str) -> str:
    """What the command writes to standard output; fails if it is refused."""
    out = StringIO()
    call_command("jobs", *words, stdout=out)
    return out.getvalue()


def document(*words: str) -> Any:
    """The one JSON document on standard output."""
    return json.loads(say(*words, "--json"))


def refusal(*words: str) -> tuple[str, int, str]:
    """The sentence, the exit code and what stood on standard output."""
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("jobs", *words, stdout=out)
    return str(caught.value), caught.value.returncode, out.getvalue()


def dead_letter() -> str:
    handle = fail.enqueue()
    run_jobs()
    return str(handle.id)


def test_enqueue_takes_arguments_priority_and_delay() -> None:
    made = document("enqueue", "command.add", "--args", "[1]", "--kwargs", '{"right": 2}', "--priority", "1")
    job = Job.objects.get()
    assert made == {"id": str(job.pk), "task": "command.add", "queue": lane.name, "created": True}
    assert (job.args, job.priority) == ([1, 2], 1)
    run_jobs()
    assert Job.objects.get().result == "3"
    say("enqueue", "command.add", "--args", "[1]", "--delay", "60")
    assert Job.objects.latest("pk").ready_at > clock.now() + timedelta(seconds=50)


def test_enqueue_takes_a_time_with_its_zone_in_place_of_a_delay() -> None:
    at = (clock.now() + timedelta(hours=2)).astimezone(ZoneInfo("America/Sao_Paulo"))
    say("enqueue", "command.add", "--args", "[1]", "--at", at.isoformat())
    assert Job.objects.get().ready_at == at
    sentence, code, _ = refusal("enqueue", "command.add", "--args", "[1]", "--at", at.isoformat(), "--delay", "5")
    assert (code, Job.objects.count()) == (1, 1)
    assert "give one" in sentence


def test_enqueue_refuses_what_the_task_does_not_take() -> None:
    sentence, code, out = refusal("enqueue", "command.add", "--args", '["one"]', "--json")
    assert code == 1
    assert "argument left='one'" in sentence
    assert json.loads(out)["error"] == sentence
    assert not Job.objects.exists()


def test_an_unknown_task_or_queue_is_refused_with_the_known_ones() -> None:
    sentence, code, _ = refusal("enqueue", "command.ad")
    assert code == 1
    assert "'command.ad' is not defined; tasks are: command.add, command.fail" in sentence
    sentence, code, _ = refusal("pause", "emial")
    assert code == 1
    assert "queues are: command_lane, email" in sentence
    assert refusal("list", "--queue", "emial")[1] == 1
    assert refusal("list", "--task", "nothing")[1] == 1


def test_list_shows_the_newest_first_and_filters() -> None:
    dead = dead_letter()
    later = str(add.using(delay=60).enqueue(1).id)
    assert [line["id"] for line in document("list")] == [later, dead]
    assert [line["id"] for line in document("list", "--limit", "1")] == [later]
    assert [line["id"] for line in document("list", "--state", "failed")] == [dead]
    assert [line["id"] for line in document("list", "--state", "scheduled", "--queue", lane.name)] == [later]
    assert [line["id"] for line in document("list", "--task", "command.fail")] == [dead]
    assert document("list", "--queue", "email") == []
    assert f"{dead}  command_lane  command.fail  failed" in say("list")


def test_show_tells_the_verdict_the_arguments_and_the_attempts() -> None:
    dead = dead_letter()
    shown = document("show", dead)
    assert "Dead letter after 1 attempt" in shown["verdict"]
    assert shown["attempts_made"][0]["error"] == "PermanentError: no luck"
    assert "Traceback" in say("show", dead)
    assert say("show", dead).startswith("Dead letter")


def test_show_masks_personal_arguments() -> None:
    handle = add.enqueue(1, secret="Ada")
    assert document("show", str(handle.id))["arguments"] == {"left": 1, "secret": "***"}
    assert "Ada" not in say("show", str(handle.id))


def test_an_unknown_job_ends_with_1() -> None:
    missing = str(clock.new_id())
    sentence, code, out = refusal("show", missing, "--json")
    assert code == 1
    assert missing in sentence
    assert json.loads(out) == {"error": sentence}


def test_retry_by_id_does_what_it_can_and_tells_the_rest() -> None:
    dead, waiting = dead_letter(), str(add.enqueue(1).id)
    sentence, code, out = refusal("retry", dead, waiting, "--json")
    assert code == 1
    assert "only a dead letter" in sentence
    assert [set(line) for line in json.loads(out)] == [{"id", "done"}, {"id", "refused"}]
    assert Job.objects.get(pk=dead).run == 2


def test_retry_of_a_queue_takes_its_oldest_dead_letters() -> None:
    ids = [dead_letter() for _ in range(3)]
    assert document("retry", "--queue", lane.name, "--task", "command.add") == []
    assert [line["id"] for line in document("retry", "--queue", lane.name, "--limit", "2")] == ids[:2]
    assert Job.objects.get(pk=ids[2]).state == "failed"
    assert say("retry", "--queue", "email").strip() == "nothing to do"


def test_cancel_and_promote() -> None:
    one, two = (str(add.using(delay=3_600).enqueue(1).id) for _ in range(2))
    assert say("cancel", one).strip() == f"{one} cancelled"
    assert document("promote", two) == [{"id": two, "done": "promoted"}]
    assert Job.objects.get(pk=one).state == "cancelled"
    assert Job.objects.get(pk=two).ready_at <= clock.now()
    assert refusal("promote", one)[1] == 1


def test_pause_and_resume() -> None:
    assert document("pause", lane.name) == {"queue": lane.name, "done": "paused"}
    add.enqueue(1)
    assert run_jobs() == []
    assert "paused" in say("status")
    say("resume", lane.name)
    assert len(run_jobs()) == 1


def work(*kinds: tuple[str, str]) -> None:
    for kind, queue in kinds:
        get_broker().register(ProcessRecord(clock.new_id(), kind, queue, "here", 1, 1), 30)


def test_status_check_passes_when_all_is_well() -> None:
    work(("keeper", ""), ("worker", lane.name))
    add.enqueue(1)
    assert say("status", "--check").startswith("All is well.")
    assert document("status", "--check")["needs_person"] is False


def codes() -> set[str]:
    return {one["code"] for one in document("status")["findings"]}


def old(**fields: Any) -> Job:
    long_ago = clock.now() - timedelta(minutes=10)
    values = {"id": clock.new_id(), "queue": lane.name, "task": "command.add", "created_at": long_ago}
    return Job.objects.create(**{"message": "{}", "ready_at": long_ago, **values, **fields})


def test_status_check_finds_a_job_that_waits_too_long() -> None:
    work(("keeper", ""), ("worker", lane.name))
    old(state="queued")
    sentence, code, out = refusal("status", "--check")
    assert code == 1
    assert out.startswith("command_lane: the oldest job has waited for 10 minutes: give the queue more workers")
    assert "oldest_waiting" in codes()
    say("status", "--check", "--oldest", "3600")


def test_status_check_finds_a_queue_that_nobody_works() -> None:
    work(("keeper", ""), ("worker", "email"))
    add.enqueue(1)
    assert refusal("status", "--check")[1] == 1
    assert codes() == {"nobody_works"}


def test_status_check_finds_that_nothing_runs_although_nothing_waits() -> None:
    # periodic tasks do not tick then, and whoever watches would hear of it only with the first job
    assert codes() == {"no_workers"}
    assert refusal("status", "--check")[1] == 1


def test_status_check_finds_scheduled_jobs_of_a_queue_that_nobody_works() -> None:
    work(("keeper", ""))
    assert codes() == set()
    add.using(delay=3600).enqueue(1)
    assert codes() == {"nobody_works"}
    assert refusal("status", "--check")[1] == 1


def test_status_check_finds_a_dead_keeper() -> None:
    work(("worker", lane.name), ("keeper", ""))
    assert codes() == set()
    from jobs.models import Process

    Process.objects.filter(kind="keeper").update(lease_until=clock.now() - timedelta(seconds=1))
    assert codes() == {"no_keeper"}
    assert refusal("status", "--check")[1] == 1


def test_status_check_finds_jobs_that_do_not_reach_the_broker() -> None:
    work(("keeper", ""), ("worker", lane.name))
    old(state="pending", ready_at=clock.now())  # a retry of a moment ago keeps its old id
    assert codes() == set()
    old(state="pending", id=lookup.first_id_at(clock.now() - timedelta(minutes=2)))
    assert codes() == {"pending_too_long"}
    assert refusal("status", "--check")[1] == 1


def test_a_paused_queue_and_dead_letters_are_told_but_do_not_fail_the_check() -> None:
    work(("keeper", ""), ("worker", lane.name))
    dead_letter()
    say("pause", lane.name)
    old(state="queued")
    assert codes() == {"paused", "dead_letters"}
    assert "1 dead letter waits for a person" in say("status", "--check")


def test_status_tells_of_a_queue_that_no_code_defines() -> None:
    work(("keeper", ""), ("worker", lane.name))
    old(state="queued", queue="gone_lane")
    assert codes() == {"unknown_queue"}


def test_wrong_usage_that_the_command_itself_finds_is_a_document_too() -> None:
    sentence, code, out = refusal("retry", "--json")
    assert (code, json.loads(out)) == (2, {"error": sentence})


def test_jobs_of_a_queue_that_no_code_defines_any_more_are_listed() -> None:
    add.enqueue(1)
    Job.objects.update(queue="given_up")
    assert [line["queue"] for line in document("list", "--queue", "given_up")] == ["given_up"]
    assert refusal("list", "--queue", "never_was")[1] == 1


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["show", "no-uuid"],
        ["list", "--state", "nonsense"],
        ["list", "--limit", "0"],
        ["enqueue", "command.add", "--args", "{}"],
        ["enqueue", "command.add", "--args", "nonsense"],
        ["enqueue", "command.add", "--args", "[" * 50_000],
        ["enqueue", "command.add", "--priority", "11"],
        ["enqueue", "command.add", "--delay", "-1"],
        ["enqueue", "command.add", "--at", "tomorrow"],
        ["enqueue", "command.add", "--at", "2027-01-31T09:00"],
        ["retry"],
        ["retry", "--queue", "email", str(clock.new_id())],
        ["status", "--oldest", "soon"],
        ["drain"],
        ["drain", "email", "--state", "active"],
        ["clean", "--queue", "email", "--state", "queued", "--older-than", "7d"],
        ["clean", "--queue", "email", "--state", "failed"],
        ["clean", "--queue", "email", "--state", "failed", "--older-than", "a week"],
        ["clean", "--queue", "email", "--state", "failed", "--older-than", "40000d"],
        ["clean", "--queue", "email", "--state", "failed", "--older-than", "7d", "--limit", "0"],
    ],
)
def test_wrong_usage_ends_with_2(words: list[str]) -> None:
    from jobs.management.commands.jobs import Command

    with pytest.raises((SystemExit, CommandError)) as caught:
        command = Command(stdout=StringIO())
        command._called_from_command_line = True
        command.handle(**vars(command.create_parser("manage.py", "jobs").parse_args(words)))
    code = caught.value.code if isinstance(caught.value, SystemExit) else caught.value.returncode
    assert code == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("words", "code"),
    [(["list", "--json"], 0), (["show", str(clock.new_id()), "--json"], 1), (["show", "x", "--json"], 2)],
)
@pytest.mark.sqlite
def test_the_process_itself_ends_with_the_code_and_prints_one_document(words: list[str], code: int) -> None:
    path = connection.settings_dict["NAME"]
    done = subprocess.run(
        [sys.executable, "manage.py", "jobs", *words],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
            "TEST_DATABASE_URL": f"sqlite:///{path}",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code < 2:
        json.loads(done.stdout)
    else:
        assert done.stdout == ""


def test_a_missing_table_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def missing(*args: Any) -> None:
        raise OperationalError("no such table: jobs_job")

    monkeypatch.setattr("jobs.history.lookup.all_jobs", missing)
    sentence, code, out = refusal("list", "--json")
    assert code == 1
    assert "run `manage.py migrate`" in sentence
    assert json.loads(out) == {"error": sentence}
