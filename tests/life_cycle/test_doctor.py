"""Each damage is made by hand, found, told in a sentence, mended, and not found any more."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

import jobs
from jobs import JobHandle, clock
from jobs.broker import get_broker
from jobs.history import live
from jobs.models import Job, Process
from tests.each_broker import claim, redis_client
from tests.life_cycle.lane import lane, note, run_jobs


def key(name: str) -> str:
    return f"{{tests:{lane.name}}}:{name}"


def codes(found: list[jobs.Ailment]) -> dict[str, int]:
    return {one.code: one.count for one in found}


def an_old_pending_row() -> None:
    note.enqueue("a")
    live.hear()
    Job.objects.update(state="pending", created_at=clock.now() - timedelta(hours=1))
    if not get_broker().rows_are_the_queue:
        redis_client().flushall()


def an_end_without_a_time() -> None:
    note.enqueue("a")
    run_jobs()
    Job.objects.update(ended_at=None)


def a_live_job_with_an_end() -> None:
    note.enqueue("a")
    live.hear()
    Job.objects.update(ended_at=clock.now())


def an_active_row_of_nobody() -> None:
    note.enqueue("a")
    claim(lane.name)
    Job.objects.update(worker_id=None)


def an_active_row_of_a_process_that_is_gone() -> None:
    note.enqueue("a")
    claim(lane.name)
    Job.objects.update(worker_id=uuid4())


def a_lease_that_nobody_ended() -> None:
    note.enqueue("a")
    claim(lane.name)
    Process.objects.update(lease_until=clock.now() - timedelta(hours=1))


def a_row_that_redis_does_not_know() -> None:
    note.enqueue("a")
    live.hear()
    Job.objects.update(created_at=clock.now() - timedelta(hours=1))
    client = redis_client()
    client.delete(key("jobs"), key("waiting"))


def a_record_in_no_order() -> None:
    note.using(key="k").enqueue("a")
    redis_client().delete(key("waiting"), key("keys"))


def a_place_without_a_record() -> None:
    note.enqueue("a")
    redis_client().delete(key("jobs"))


def an_active_job_without_a_record() -> None:
    note.enqueue("a")
    claim(lane.name)
    redis_client().delete(key("jobs"))


def a_key_of_nobody() -> None:
    redis_client().hset(key("keys"), "k", uuid4().bytes)


def a_cancellation_of_nobody() -> None:
    redis_client().hset(key("asked"), uuid4().bytes, "why")


def an_expiry_of_nobody() -> None:
    redis_client().zadd(key("expiring"), {uuid4().bytes: 1.0})


Damage = Callable[[], None]
#: What each damage is found as, and on which brokers it can be made.
ROWS: dict[Damage, str] = {
    an_old_pending_row: "pending",
    an_end_without_a_time: "no_end",
    a_live_job_with_an_end: "ended_twice",
}
OF_DATABASES: dict[Damage, str] = {
    an_active_row_of_nobody: "no_worker",
    an_active_row_of_a_process_that_is_gone: "no_worker",
    a_lease_that_nobody_ended: "stray_lease",
}
OF_REDIS: dict[Damage, str] = {
    a_row_that_redis_does_not_know: "unknown",
    a_record_in_no_order: "unplaced",
    a_place_without_a_record: "vanished",
    an_active_job_without_a_record: "vanished",
    a_key_of_nobody: "stray_key",
    a_cancellation_of_nobody: "stray_ask",
    an_expiry_of_nobody: "stray_end",
}


def test_each_damage_is_found_and_mended(each_broker: str) -> None:
    special = OF_REDIS if each_broker == "redis" else OF_DATABASES
    for damage, code in {**ROWS, **special}.items():
        jobs.obliterate(lane, force=True)
        assert jobs.examine(lane) == [], damage
        damage()
        found = jobs.examine(lane)
        assert codes(found) == {code: 1}, damage
        assert found[0].text.count(";") == 1
        assert not found[0].mended
        assert codes(jobs.examine(lane)) == {code: 1}, f"{damage}: looking must change nothing"
        assert [one.mended for one in jobs.examine(mend=True)] == [True], damage
        assert jobs.examine() == [], damage


def runs(handle: JobHandle) -> bool:
    return run_jobs() == [handle] and handle.state == "completed"


def test_what_is_mended_runs(each_broker: str) -> None:
    damages = [an_old_pending_row]
    damages += [a_row_that_redis_does_not_know, a_record_in_no_order] if each_broker == "redis" else [*OF_DATABASES]
    for damage in damages:
        jobs.obliterate(lane, force=True)
        damage()
        jobs.examine(mend=True)
        live.hear()
        handle = JobHandle(Job.objects.get().pk)
        assert runs(handle), damage


def test_a_healthy_queue_is_told_so_with_jobs_in_every_state() -> None:
    note.enqueue("a")
    run_jobs()
    note.enqueue_many([("b",), ("c",)])
    note.using(delay=60, key="k", expires=600).enqueue("d")
    (running,) = claim(lane.name)
    assert get_broker().cancel(lane.name, running.id, "why") == "asked"
    assert jobs.examine() == []
    call_command("jobs", "doctor", stdout=(out := StringIO()))
    assert out.getvalue() == "Nothing is wrong.\n"


def test_the_command_tells_and_mends() -> None:
    an_end_without_a_time()
    out = StringIO()
    with pytest.raises(CommandError, match="--mend") as caught:
        call_command("jobs", "doctor", "--queue", lane.name, stdout=out)
    assert caught.value.returncode == 1
    assert out.getvalue().startswith("life_lane: 1: jobs have ended and no time says when")
    call_command("jobs", "doctor", "--mend", "--json", stdout=(out := StringIO()))
    (told,) = json.loads(out.getvalue())
    assert (told["code"], told["queue"], told["count"], told["mended"]) == ("no_end", lane.name, 1, True)
