"""The bound on facts that wait (G9): at it the oldest completed jobs become counters, and nothing else is cut."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import pytest
import redis
from django.db import connections, transaction

from jobs import JobFailed, JobHandle, Queue, reasons
from jobs.broker.database.outcomes import milliseconds
from jobs.broker.records import ClaimedJob, Completed, Failed, HandedBack, Outcome, Postponed, PushStatus, Retried
from jobs.broker.redis.broker import RedisBroker
from jobs.enqueue import outbox
from jobs.history import facts
from jobs.history.counters import totals
from jobs.keep import merge, relay
from jobs.models import Attempt, Job
from jobs.policy import QueuePolicy, Retention
from jobs.states import ENDED, State
from tests.contract.hands import Hands
from tests.counted import times
from tests.servers import RedisServer

pytestmark = pytest.mark.usefixtures("each_database", "redis_is_the_broker")
lane = Queue("lane", attempts=3)
SMALL = 40 * 1024
ALL = QueuePolicy("lane", retention=Retention(completed=1_000_000, failed=1_000_000))


@lane.task(name="bound.echo")
def echo(text: str) -> str:
    return text


@pytest.fixture
def broker(broker: RedisBroker) -> RedisBroker:
    broker.most_facts = SMALL
    return broker


@dataclass
class Ledger:
    """What really happened, by who settles."""

    counters: Counter[str] = field(default_factory=Counter)
    completed: set[UUID] = field(default_factory=set)
    failed: set[UUID] = field(default_factory=set)
    attempts: Counter[UUID] = field(default_factory=Counter)
    lost: Counter[UUID] = field(default_factory=Counter)

    def note(self, job: ClaimedJob, outcome: Outcome, ran: int, waited: int) -> None:
        self.counters["ran_ms"] += ran
        self.counters["waited_ms"] += waited
        self.counters["retried"] += isinstance(outcome, Retried)
        self.counters["completed"] += isinstance(outcome, Completed)
        self.counters["failed"] += isinstance(outcome, Failed)
        self.attempts[job.id] += isinstance(outcome, (Retried, Failed))
        if isinstance(outcome, Completed):
            self.completed.add(job.id)
        elif isinstance(outcome, Failed):
            self.failed.add(job.id)


class Work:
    """Runs what is there to its end, with all that may come in between."""

    def __init__(self, hands: Hands, seed: int = 7) -> None:
        self.hands, self.ledger, self.chance = hands, Ledger(), random.Random(seed)

    def run(self, at_once: int = 40) -> None:
        while claimed := self.hands.claim(at_once):
            if self.chance.random() < 0.05:
                self._die(claimed)
                continue
            settlements = []
            for job in claimed:
                settlement = self.hands.settlement(job, self._outcome(job))
                ended_at = settlement.ended_at
                ran = milliseconds(settlement.started_at, ended_at)
                waited = milliseconds(job.ready_at, settlement.started_at)
                self.ledger.note(job, settlement.outcome, ran, waited)
                settlements.append(settlement)
            self.hands.exchange(*settlements, wanted=0)

    def _outcome(self, job: ClaimedJob) -> Outcome:
        dice = self.chance.random()
        if dice < 0.02:
            return Failed("broken", "Traceback: broken")
        if dice < 0.06 and job.attempts < 2:
            return Retried(0, "broken once", "Traceback: broken once")
        if dice < 0.08:
            return Postponed(0, "later")
        return Completed('"%s"' % ("x" * self.chance.choice([0, 30, 300])))

    def _die(self, claimed: list[ClaimedJob]) -> None:
        # the others of this exchange are handed back before any of them started
        settlements = [self.hands.settlement(job, HandedBack("the worker stops"), started=False) for job in claimed[1:]]
        self.hands.exchange(*settlements, wanted=0)
        self.hands.release(self.hands.worker, lost=True)
        self.ledger.counters["lost"] += 1
        self.ledger.lost[claimed[0].id] += 1
        self.hands.worker = self.hands.new_worker()


def push_many(hands: Hands, number: int) -> list[UUID]:
    jobs = [hands.new_job() for _ in range(number)]
    for start in range(0, number, 7):
        hands.push_all(jobs[start : start + 7])
    return [job.id for job in jobs]


def merge_all(broker: RedisBroker) -> None:
    while merge.merge_queue(broker, ALL, merge.Forgetting()):
        pass


def counted() -> dict[str, int]:
    ran, waited = times("lane")
    known = {**totals("lane"), "ran_ms": ran, "waited_ms": waited}
    return {name: known[name] for name in ("completed", "failed", "retried", "lost", "ran_ms", "waited_ms")}


def check(ledger: Ledger) -> None:
    """The history against the ledger."""
    assert counted() == {name: ledger.counters[name] for name in counted()}
    rows = {row.pk: row for row in Job.objects.all()}
    assert {id for id, row in rows.items() if row.state not in ENDED} == set()
    assert {id for id, row in rows.items() if row.state == State.FAILED} == ledger.failed
    assert {id for id, row in rows.items() if row.state == State.COMPLETED} <= ledger.completed
    told = Counter(Attempt.objects.filter(outcome="failed").values_list("job_id", flat=True))
    for id in ledger.failed:
        assert told[id] == ledger.attempts[id] == rows[id].attempts
    told = Counter(Attempt.objects.filter(outcome="lost").values_list("job_id", flat=True))
    assert told == ledger.lost


def test_at_the_bound_completed_jobs_become_counters_and_nothing_else_is_cut(
    broker: RedisBroker, hands: Hands, client: redis.Redis
) -> None:
    with_rows = push_many(hands, 50)
    with transaction.atomic():
        with_rows += [handle.id for handle in echo.enqueue_many([str(number) for number in range(50)])]
    merge_all(broker)
    assert Job.objects.count() == 100
    push_many(hands, 2_000)
    work = Work(hands)
    work.run()
    lag = broker.lag("lane", facts.position("lane")[1])
    assert 500 < lag.cut <= len(work.ledger.completed)
    assert lag.cut_since < lag.cut_until <= broker.now()
    merge_all(broker)
    check(work.ledger)
    assert set(with_rows) <= set(Job.objects.values_list("pk", flat=True))
    assert Job.objects.count() < 2_000
    cut = Job.objects.filter(pk__in=with_rows, state=State.COMPLETED, reason=reasons.NOT_KEPT)
    assert cut.count() > 20
    assert {(row.attempts, row.started_at is None) for row in cut} >= {(1, False)}
    with pytest.raises(JobFailed, match="not kept"):
        JobHandle(cut.first()).result(0)
    assert broker.lag("lane", facts.position("lane")[1]).facts == 0


def test_rows_that_no_merge_made_or_that_are_still_to_come_reach_their_end(broker: RedisBroker, hands: Hands) -> None:
    with transaction.atomic():
        with_rows = [handle.id for handle in echo.enqueue_many([str(number) for number in range(100)])]
    push_many(hands, 2_000)
    work = Work(hands)
    work.run()
    assert broker.lag("lane", "").cut > 500
    merge_all(broker)
    check(work.ledger)
    assert set(with_rows) <= set(Job.objects.values_list("pk", flat=True))
    assert Job.objects.filter(state=State.COMPLETED, reason=reasons.NOT_KEPT).exclude(pk__in=with_rows).exists()


def complete_all(hands: Hands) -> None:
    while claimed := hands.claim(50):
        hands.exchange(*(hands.settlement(job, Completed('"x"')) for job in claimed), wanted=0)


def test_live_jobs_of_which_no_keeper_was_told_have_their_row_once_one_is_back(
    broker: RedisBroker, hands: Hands
) -> None:
    later = {hands.push(delay=3600) for _ in range(300)}
    for _ in range(3):
        push_many(hands, 500)
        complete_all(hands)
    assert broker.lag("lane", "").cut > 500
    merge_all(broker)
    assert set(Job.objects.filter(state=State.QUEUED).values_list("pk", flat=True)) == later


def test_row_of_a_job_that_came_twice_since_the_first_answer_was_lost_reaches_its_end(
    broker: RedisBroker, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "RELAY_AFTER", 0.0)
    job = hands.new_job()
    hands.push_all([job])
    outbox.put([job])
    relay.run()
    push_many(hands, 1_000)
    complete_all(hands)
    assert broker.lag("lane", "").cut > 500
    merge_all(broker)
    assert Job.objects.get(pk=job.id).state == State.COMPLETED


def test_row_of_a_job_that_came_again_after_its_end_reaches_it(
    broker: RedisBroker, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "RELAY_AFTER", 0.0)
    job = hands.new_job()
    hands.push_all([job])
    complete_all(hands)
    outbox.put([job])
    relay.run()
    push_many(hands, 1_000)
    complete_all(hands)
    assert broker.lag("lane", "").cut > 500
    merge_all(broker)
    row = Job.objects.get(pk=job.id)
    assert (row.state, row.reason) == (State.COMPLETED, reasons.NOT_KEPT)
    assert counted()["completed"] == 1_001


def waiting_bytes(client: redis.Redis) -> int:
    return sum(client.memory_usage(f"{{tests:lane}}:{name}", samples=0) or 0 for name in ("facts", "kept"))


def test_memory_of_completed_jobs_that_wait_is_bounded_with_no_keeper_alive(
    broker: RedisBroker, hands: Hands, client: redis.Redis
) -> None:
    most = []
    for _ in range(6):
        push_many(hands, 1_000)
        complete_all(hands)
        most.append(waiting_bytes(client))
    assert max(most) < 3 * SMALL
    merge_all(broker)
    assert counted()["completed"] == 6_000


def test_keepers_that_merge_and_crash_while_facts_shrink_count_each_job_once(
    broker: RedisBroker, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, lock, over = random.Random(3), threading.Lock(), threading.Event()
    merged = facts.merge

    def merge_or_crash(*args: object) -> bool:
        with lock:
            dice = chance.random()
        if dice < 0.3:
            raise RuntimeError("killed before the commit")
        done = merged(*args)
        if dice < 0.5:
            raise RuntimeError("killed after the commit")
        return done

    monkeypatch.setattr(facts, "merge", merge_or_crash)

    def keep() -> None:
        while not over.is_set():
            try:
                facts.catch_up(broker, ALL)
            except RuntimeError:
                over.wait(0.05)
        connections.close_all()

    keepers = [threading.Thread(target=keep) for _ in range(2)]
    for keeper in keepers:
        keeper.start()
    work = Work(hands)
    try:
        for _ in range(4):
            push_many(hands, 700)
            work.run(200)
    finally:
        over.set()
        for keeper in keepers:
            keeper.join()
    assert broker.lag("lane", "").cut > 0
    monkeypatch.setattr(facts, "merge", merged)
    merge_all(broker)
    check(work.ledger)


def test_what_a_keeper_has_read_but_not_committed_does_not_shrink(broker: RedisBroker, hands: Hands) -> None:
    push_many(hands, 300)
    work = Work(hands)
    work.run(10)
    known = facts.position("lane")
    page = broker.read_facts("lane", *known, 100)
    push_many(hands, 1_500)
    work.run()
    assert broker.lag("lane", "").cut > 0
    assert facts.merge("lane", known, [page])
    merge_all(broker)
    check(work.ledger)


def test_ids_of_jobs_without_a_row_are_remembered_for_a_minute(
    broker: RedisBroker, hands: Hands, client: redis.Redis
) -> None:
    jobs = [hands.new_job() for _ in range(1_500)]
    hands.push_all(jobs[:1_000])
    hands.push_all(jobs[1_000:])
    complete_all(hands)
    assert broker.lag("lane", "").cut > 500
    assert {answer.status for answer in hands.push_all(jobs[:100])} == {PushStatus.KNOWN}
    assert client.hlen("{tests:lane}:ended") == 1_500


def test_ids_that_were_remembered_for_long_enough_go_with_no_keeper_alive(
    broker: RedisBroker, hands: Hands, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, shorter_memory: None
) -> None:
    for _ in range(5):
        push_many(hands, 1_000)
        complete_all(hands)
    assert client.hlen("{tests:lane}:ended") < 2_000


@pytest.fixture
def shorter_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id is remembered for a millisecond only."""
    from jobs.broker.redis import scripts

    load = scripts.load_script.__wrapped__

    def load_changed(name: str) -> scripts.Script:
        text = load(name).text
        return scripts.Script.of(
            text.replace("REMEMBER, SLACK_OF_READ, DAY = 60000000,", "REMEMBER, SLACK_OF_READ, DAY = 1000,")
        )

    monkeypatch.setattr(scripts, "load_script", load_changed)


def test_history_is_read_from_a_full_server(make_server: Callable[..., RedisServer]) -> None:
    server = make_server(maxmemory=str(8 * 1024 * 1024))
    broker = RedisBroker(server.url(), "tests")
    try:
        hands = Hands(broker)
        push_many(hands, 100)
        complete_all(hands)
        with redis.Redis.from_url(server.url()) as client:
            client.config_set("maxmemory", client.info("memory")["used_memory"] // 2)
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                client.set("other", "x")
        merge_all(broker)
        assert counted()["completed"] == 100
    finally:
        broker.close()


def test_the_bound_is_a_quarter_of_a_small_server_shared_by_its_queues(
    make_server: Callable[..., RedisServer],
) -> None:
    server = make_server(maxmemory=str(64 * 1024 * 1024))
    broker = RedisBroker(server.url(), "tests")
    try:
        hands = Hands(broker)
        hands.new_worker(queue="other")
        broker._most_at = float("-inf")
        broker.renew([hands.worker], 30)
        with redis.Redis.from_url(server.url()) as client:
            assert int(client.hget("{tests:lane}:meta", "most")) == 8 * 1024 * 1024
    finally:
        broker.close()
