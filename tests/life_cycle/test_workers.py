"""A worker process is listed and paused, by Python, the command line and the admin."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client

from jobs import SeenWorker, UnknownProcess, clock, pause_worker, resume_worker, workers
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.management.actions import top
from jobs.testing import run_jobs

from .lane import lane, note


def make(pid: int) -> ProcessRecord:
    record = ProcessRecord(clock.new_id(), "worker", lane.name, "here", pid, 4)
    get_broker().register(record, 600)
    return record


def claims(record: ProcessRecord, number: int) -> int:
    return len(get_broker().exchange(record.id, lane.policy, [], 1, number=number).jobs)


def only() -> SeenWorker:
    (found,) = workers()
    return found


def test_worker_is_paused_by_its_name_or_id_and_listed(each_broker: str) -> None:
    record = make(7)
    get_broker().register(ProcessRecord(clock.new_id(), "keeper", "", "here", 8), 600)
    note.enqueue("a")
    assert (only().paused, only().busy, only().concurrency, only().queue) == (False, 0, 4, lane.name)
    pause_worker("here:7")
    assert only().paused
    assert claims(record, 1) == 0
    resume_worker(record.id)
    assert not only().paused
    assert claims(record, 2) == 1
    if each_broker != "redis":
        assert only().busy == 1
    for unknown in ("here:8", "nobody", clock.new_id()):
        with pytest.raises(UnknownProcess, match=str(unknown)):
            pause_worker(unknown)


def test_command_lists_and_pauses(each_broker: str) -> None:
    record = make(7)

    def run(*words: str) -> Any:
        out = StringIO()
        call_command("jobs", "workers", "--json", *words, stdout=out)
        return json.loads(out.getvalue())

    assert [one["paused"] for one in run("--pause", "here:7")] == [True]
    assert claims(record, 1) == 0
    (one,) = run("--resume", str(record.id))
    assert (one["paused"], one["host"], one["pid"], one["queue"]) == (False, "here", 7, lane.name)
    out = StringIO()
    call_command("jobs", "workers", stdout=out)
    assert re.search(r"here:7 +\S+ +0/4 ", out.getvalue())


def test_top_tells_of_each_queue_how_much_waits_and_ends(each_broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "EVERY", 0.01)
    make(7)
    workers_seen = int(each_broker != "redis")  # there a keeper tells of them
    watch = top.Top()
    watch.look()
    note.enqueue("a")
    run_jobs()
    note.enqueue("b")
    (line,) = (line for line in watch.look()[1] if line.queue == lane.name)
    assert (line.waiting, line.active, line.workers, line.paused) == (1, 0, workers_seen, False)
    assert line.rate or each_broker == "redis"  # there a keeper writes the history

    out = StringIO()
    call_command("jobs", "top", "--once", "--json", stdout=out)
    (told,) = (one for one in json.loads(out.getvalue())["queues"] if one["queue"] == lane.name)
    assert (told["waiting"], told["rate"], told["workers"]) == (1, 0.0, workers_seen)
    call_command("jobs", "top", "--once", stdout=out)
    assert re.search(rf"{lane.name} +1 +0 +0 +0\.0 +\S+ \S+ +{workers_seen}", out.getvalue())


def test_admin_pauses_who_may(each_broker: str, client: Client, django_user_model: Any) -> None:
    record = make(7)
    person = django_user_model.objects.create_user("ada@example.org", password="x", is_staff=True)
    client.force_login(person)
    address = f"/admin/jobs/job/workers/{record.id}/pause/"
    assert client.post(address).status_code == 403
    person.user_permissions.set(Permission.objects.filter(codename__in=["pause_queue", "view_job", "view_every_scope"]))
    assert client.get(address).status_code == 405
    page = client.get("/admin/jobs/").content.decode()
    assert address in page
    assert client.post(address).status_code == 302
    assert only().paused
    assert f"/admin/jobs/job/workers/{record.id}/resume/" in client.get("/admin/jobs/").content.decode()
