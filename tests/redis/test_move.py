"""`jobs move --from URL`: the jobs leave a Redis, for the database or another Redis, broken off wherever it may be."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import transaction

from jobs import Queue, clock
from jobs.broker import forget_broker, get_broker
from jobs.broker.contract import Broker
from jobs.broker.records import Completed, Postponed, Retried
from jobs.broker.redis.broker import RedisBroker
from jobs.enqueue.outbox import push_pending
from jobs.errors import BrokerAway, Refused
from jobs.history import facts
from jobs.history.lookup import queues_left_behind
from jobs.history.status.report import report
from jobs.keep import recover, relay, sweep, take_over
from jobs.models import Job, Marker, QueueState
from jobs.operate import move as moving
from jobs.operate.groups import pause_group, resume_group
from jobs.operate.tags import pause_tag, resume_tag
from jobs.policy import GroupRules, QueuePolicy, RateLimit
from tests.contract.hands import Hands
from tests.counted import counted
from tests.servers import RedisServer

pytestmark = pytest.mark.usefixtures("each_database", "client", "_fresh_keeper")
lane = Queue("move_lane", keep_completed=1000)


@lane.task(name="move.echo")
def echo(text: str) -> str:
    return text


class Stop(Exception):
    """The command is broken off here."""


@pytest.fixture
def _fresh_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take_over, "_free", set())
    monkeypatch.setattr(take_over, "_after", {})
    monkeypatch.setattr(take_over, "LOOK", 0.0)


@pytest.fixture
def use(settings: object) -> Iterator[Callable[[str], Broker]]:
    """`use(url)`: from now on the settings name this Redis, or with an empty URL the database."""

    def use(url: str) -> Broker:
        forget_broker()
        settings.JOBS = {**settings.JOBS, "REDIS_URL": url, "NAMESPACE": "tests"}
        return get_broker()

    yield use
    forget_broker()


def hands_of(broker: Broker) -> Hands:
    hands = Hands(broker)
    hands.policy = lane.policy
    hands.worker = hands.new_worker()
    return hands


def move(url: str, longest: float = 60.0) -> moving.Moved:
    """Move, and let a relay come a second later; what became of the queue."""
    moved = moving.move(url, longest)
    push_now()
    return next((one for one in moved if one.queue == "move_lane"), moving.Moved("move_lane", 0, 0, 0))


def push_now() -> None:
    Job.objects.filter(state="pending").update(created_at=clock.now() - timedelta(seconds=5))
    push_pending()


def keep() -> None:
    """What a keeper does in a second."""
    for _ in range(2):
        take_over.run()
        recover.run()
        Job.objects.filter(state="pending").update(created_at=clock.now() - timedelta(seconds=5))
        relay.run()
        if not get_broker().rows_are_the_queue:
            facts.catch_up(get_broker(), lane.policy, 10)


def in_redis(broker: Broker) -> list[dict[str, object]]:
    """Jobs of all kinds, with rows and without, and what a claim is to bring of each, in order."""
    hands = hands_of(broker)
    soon = broker.now() + timedelta(hours=1)
    options = {
        "event": "LeadCreated",
        "event_id": clock.new_id(),
        "about": ("leads.lead", "7"),
        "scope": "org-1",
        "group": "g",
        "tags": ("a", "b"),
        "parent_id": clock.new_id(),
        "expires_at": datetime(2027, 1, 1, tzinfo=UTC),
    }
    hands.push(priority=5, key="k", **options)
    hands.push(priority=3, **options)
    hands.push(delay=3600)
    with transaction.atomic():
        echo.enqueue("row")
        echo.using(priority=1, key="row", delay=5).enqueue("later")
    failing = hands.push(priority=60)
    (claimed,) = hands.claim(1)
    assert claimed.id == failing
    hands.settle(claimed, Retried(0, "broken"))
    hands.push(priority=50)
    hands.lose(1)
    keep()
    hands.push(ready_at=soon)
    waiting = {job.id for job in broker.list_waiting("move_lane", limit=100).jobs}
    assert len(waiting) == 8
    found = [broker.find("move_lane", id) for id in waiting]
    return sorted(found, key=lambda job: (-job.priority, job.ready_at, job.id))


def test_every_job_comes_to_the_database_as_it_was(server: RedisServer, use: Callable[[str], Broker]) -> None:
    there = in_redis(use(server.url()))
    here = use("")
    moved = move(server.url())
    assert moved.jobs == 8
    found = here.list_waiting("move_lane", limit=100).jobs
    found = sorted(found, key=lambda job: (-job.priority, job.ready_at, job.id))
    for now, before in zip(found, there, strict=True):
        assert now == before
    rows = Job.objects.filter(event="LeadCreated")
    assert rows.count() == 2
    assert all(row.parent_id and row.about_id == "7" and row.event_id and row.expires_at for row in rows)
    ready = [job.id for job in there if job.ready_at <= here.now()]
    hands = hands_of(here)
    assert hands.claim_ids() == ready


def test_what_runs_there_is_waited_for_and_named(server: RedisServer, use: Callable[[str], Broker]) -> None:
    there = hands_of(use(server.url()))
    job_id = there.push()
    waiting = there.push()
    held = there.claim_one()
    broker = there.broker
    use("")
    with pytest.raises(Refused, match=str(job_id)):
        move(server.url(), longest=0)
    # nobody claims there any more, and who runs there may end its job
    other = RedisBroker(server.url(), "tests")
    assert Hands(other).claim_ids() == []
    assert there.settle(held, Completed("1"))
    move(server.url(), longest=0)
    row = Job.objects.get(pk=job_id)
    assert (row.state, row.result) == ("completed", "1")
    assert hands_of(get_broker()).claim_ids() == [waiting]
    other.close()
    broker.close()


def test_job_of_a_dead_process_there_comes_over_as_lost(server: RedisServer, use: Callable[[str], Broker]) -> None:
    there = hands_of(use(server.url()))
    there.push()
    (held,) = there.claim()
    there.broker.renew([there.worker], 0.001)
    use("")
    move(server.url(), longest=5)
    (claimed,) = hands_of(get_broker()).claim()
    assert (claimed.id, claimed.lost) == (held.id, 1)


def test_job_whose_task_had_committed_ends_and_does_not_run(server: RedisServer, use: Callable[[str], Broker]) -> None:
    there = hands_of(use(server.url()))
    job_id = there.push()
    claimed = there.claim_one()
    with transaction.atomic():
        assert there.broker.begin_atomic(there.worker, there.policy, claimed) is None
        there.broker.settle_in_transaction(there.worker, there.policy, there.settlement(claimed, Completed("5")))
    there.release(there.worker, lost=True)
    use("")
    moved = move(server.url())
    assert (moved.jobs, moved.ended) == (0, 1)
    row = Job.objects.get(pk=job_id)
    assert (row.state, row.result) == ("completed", "5")
    assert counted("move_lane")["completed"] == 1
    assert hands_of(get_broker()).claim_ids() == []
    assert Marker.objects.get().ended_at is not None


POINTS = ["move.left", "move.before_commit", "move.after_commit", "move.opened"]


@pytest.mark.parametrize("point", POINTS)
def test_broken_off_anywhere_it_goes_on(
    server: RedisServer, use: Callable[[str], Broker], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    there = hands_of(use(server.url()))
    ids = [there.push() for _ in range(5)]
    with transaction.atomic():
        ids += [echo.enqueue("x").id for _ in range(5)]
    use("")
    monkeypatch.setattr(moving, "CHUNK", 3)

    def strike(name: str) -> None:
        if name == point:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(moving, "point", strike)
        with pytest.raises(Stop):
            move(server.url())
    # a keeper of the database comes between
    push_now()
    here = hands_of(get_broker())
    ran = here.claim_ids(2)
    for _ in range(2):
        move(server.url())
    push_now()
    ran += here.claim_ids(100)
    assert sorted(ran) == sorted(ids)


def test_process_that_still_uses_that_redis_leaves_the_rows_alone(
    server: RedisServer, use: Callable[[str], Broker]
) -> None:
    there = hands_of(use(server.url()))
    ids = [there.push()]
    use("")
    move(server.url())
    use(server.url())
    # a web process: its jobs are in the outbox
    ids.append(echo.enqueue("outside").id)
    with transaction.atomic():
        ids.append(echo.enqueue("inside").id)
    for duty in (take_over, recover, sweep, relay):
        Job.objects.filter(state="pending").update(created_at=clock.now() - timedelta(minutes=5))
        with suppress(BrokerAway):
            duty.run()
    assert get_broker().list_waiting("move_lane").jobs == ()
    assert not QueueState.objects.get(queue="move_lane").elsewhere
    use("")
    Job.objects.filter(state="pending").update(created_at=clock.now() - timedelta(minutes=5))
    relay.run()
    assert sorted(hands_of(get_broker()).claim_ids()) == sorted(ids)


def test_round_trip_brings_every_job_home_once(server: RedisServer, use: Callable[[str], Broker]) -> None:
    here = hands_of(use(""))
    ids = [here.push(queue="move_lane") for _ in range(4)]
    use(server.url())
    keep()
    there = hands_of(get_broker())
    ran = there.claim_ids(1)
    there.settle(next(iter(there.claim(1))))
    use("")
    assert hands_of(get_broker()).claim_ids() == []
    assert queues_left_behind() >= {"move_lane"}
    assert "left_behind" in {finding.code for finding in report().findings}
    with pytest.raises(Refused):
        move(server.url(), longest=0)
    there.release(there.worker, lost=False)
    move(server.url())
    assert "move_lane" not in queues_left_behind()
    assert len(set(ids) - set(hands_of(get_broker()).claim_ids())) == 1
    assert ran[0] in ids
    # and there again
    use(server.url())
    with pytest.raises(BrokerAway, match="--reuse"):
        take_over.run()
    call_command("jobs", "move", "--reuse")
    take_over.run()
    assert QueueState.objects.get(queue="move_lane").elsewhere
    assert hands_of(get_broker()).push_one().id


def test_jobs_move_to_another_redis_and_each_fact_is_counted_once(
    server: RedisServer, make_server: Callable[..., RedisServer], use: Callable[[str], Broker]
) -> None:
    other = make_server()
    there = hands_of(use(server.url()))
    for _ in range(3):
        there.push()
        there.settle(there.claim_one())
    facts.catch_up(there.broker, lane.policy, 10)
    # not yet heard when the other one begins
    there.push()
    there.settle(there.claim_one())
    waiting = there.push()
    use(other.url())
    keep()
    here = hands_of(get_broker())
    here.push(priority=-1)
    here.settle(here.claim_one())
    keep()
    move(server.url())
    keep()
    assert here.claim_ids() == [waiting]
    assert counted("move_lane")["completed"] == 5
    with pytest.raises(Refused, match="REDIS_URL"):
        move(other.url())


def test_pace_goes_on_in_the_database(server: RedisServer, use: Callable[[str], Broker], monkeypatch) -> None:
    policy = QueuePolicy("move_lane", rate_limit=RateLimit(3, per=3600))
    monkeypatch.setattr(moving, "policy_of", lambda name: policy)
    there = hands_of(use(server.url()))
    for _ in range(5):
        there.push()
    for job in there.claim(2, policy=policy):
        there.settle(job, policy=policy)
    use("")
    move(server.url())
    here = hands_of(get_broker())
    assert len(here.claim(policy=policy)) == 1
    assert here.claim(policy=policy) == []


def test_what_holds_for_groups_and_tags_goes_on_in_the_database(
    server: RedisServer, use: Callable[[str], Broker], monkeypatch
) -> None:
    policy = QueuePolicy("move_lane", groups=GroupRules(rate_limit=RateLimit(2, per=3600)))
    monkeypatch.setattr(lane, "policy", policy)
    there = hands_of(use(server.url()))
    pause_group(lane, "paused")
    pause_tag(lane, "paused")
    for group in ("paused", "paced", "paced", "paced", "waits", "free"):
        echo.using(group=group).enqueue("x")
    for job in there.claim():
        assert there.settle(job, Postponed(3600, "slow down", whole_group=True) if job.group == "waits" else None)
    echo.using(group="waits").enqueue("x")
    echo.using(group="tagged", tags=["paused"]).enqueue("x")
    assert there.claim() == []
    use("")
    move(server.url())

    here = hands_of(get_broker())
    assert here.claim() == []
    resume_tag(lane, "paused")
    assert [job.tags for job in here.claim()] == [("paused",)]
    resume_group(lane, "paused")
    resume_group(lane, "waits")
    assert sorted(job.group for job in here.claim()) == ["paused", "waits"]


def test_what_cannot_be_moved_is_one_sentence(server: RedisServer, use: Callable[[str], Broker], client) -> None:
    use("")
    with pytest.raises(Refused, match="namespace 'tests'"):
        move(server.url())
    with pytest.raises(CommandError, match="--from is no address"):
        call_command("jobs", "move", "--from", "nonsense")
    with pytest.raises(CommandError, match="cannot be reached"):
        call_command("jobs", "move", "--from", "redis://127.0.0.1:1/0")
    there = hands_of(use(server.url()))
    there.push()
    for url in (server.url(), server.url().replace("127.0.0.1", "localhost")):
        with pytest.raises(Refused, match="REDIS_URL"):
            move(url)


@pytest.mark.parametrize("fault", ["password", "number", "right", "hangs"])
def test_what_the_left_redis_refuses_is_told_of_its_address_and_not_of_redis_url(
    make_server, use: Callable[[str], Broker], fault: str
) -> None:
    use("")
    server = make_server()
    with redis.Redis.from_url(server.url()) as client:
        client.acl_setuser("ana", enabled=True, passwords=["+hunter2"], keys=["~other:*"], categories=["+@all"])
    url = {
        "password": server.url("ana", "hunter3"),
        "number": server.url("ana", "hunter2", 99),
        "right": server.url("ana", "hunter2"),
        "hangs": server.url("ana", "hunter2"),
    }[fault]
    if fault == "hangs":
        server.process.send_signal(signal.SIGSTOP)
    with pytest.raises(CommandError) as caught:
        call_command("jobs", "move", "--from", url)
    assert f"redis://127.0.0.1:{server.port}/" in str(caught.value)
    assert "hunter" not in str(caught.value)
    assert "REDIS_URL" not in str(caught.value)


def test_table_says_what_moved(
    server: RedisServer, use: Callable[[str], Broker], capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands_of(use(server.url())).push()
    use("")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{server.url()}\n"))
    call_command("jobs", "move", "--from", "-", "--json")
    with pytest.raises(CommandError, match="nothing came on standard input"):
        call_command("jobs", "move", "--from", "-")
    told = {one["queue"]: one for one in json.loads(capsys.readouterr().out)}
    assert told["move_lane"] == {"queue": "move_lane", "jobs": 1, "ended": 0, "facts": 1}
    call_command("jobs", "move", "--from", server.url())
    assert "0 jobs moved." in capsys.readouterr().out


def test_redis_that_is_gone_for_good_leaves_the_rows_to_the_database(
    server: RedisServer, use: Callable[[str], Broker]
) -> None:
    use(server.url())
    with transaction.atomic():
        handle = echo.enqueue("x")
    keep()
    use("")
    here = hands_of(get_broker())
    assert here.claim_ids() == []
    call_command("jobs", "move", "--gone")
    assert here.claim_ids() == [handle.id]
