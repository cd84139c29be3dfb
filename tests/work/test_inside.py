"""What a task tells of itself and keeps, on every broker: progress, log lines, steps, cursors, cancellation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, transaction

from jobs import Fixed, JobHandle, Queue, RetryLater, clock, current_job
from jobs.broker.contract import Broker
from jobs.broker.records import Completed, Failed, GivenUp, HandedBack, Postponed, Retried, Settlement
from jobs.define import context, items
from jobs.history import inside
from jobs.keep import prune
from jobs.models import Job, JobProgress, Kept, LogPart
from jobs.operate.clean import clean
from jobs.operate.retry import retry
from jobs.work import execution, reports, start
from tests.contract.conftest import BENCHES, Bench
from tests.contract.hands import Hands
from tests.databases import emptied
from tests.each_broker import as_the_broker

Stop = Callable[[], None]


@pytest.fixture(params=[name for name in ("sqlite", "postgresql", "redis") if name in BENCHES])
def bench(request: pytest.FixtureRequest, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with BENCHES[request.param]() as standing, emptied(), as_the_broker(standing.broker, monkeypatch):
        yield standing


@pytest.fixture
def broker(bench: Bench) -> Broker:
    return bench.broker


@pytest.fixture
def hands(bench: Bench) -> Hands:
    return Hands(bench.broker)


@pytest.fixture
def queue(bench: Bench) -> Queue:
    return Queue("lane", attempts=3, backoff=Fixed(0))


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Stop:
    """What SIGTERM does to the tasks of a worker."""
    event = threading.Event()
    monkeypatch.setattr(context, "_stopping", event)
    return event.set


def work(hands: Hands, queue: Queue, most: int = 50) -> list[Settlement]:
    """Claim, run and settle what is due, one by one, at most so many starts."""
    done: list[Settlement] = []
    while len(done) < most and (claimed := hands.claim(1, policy=queue.policy)):
        if (settlement := execution.execute(claimed[0], queue, hands.worker)) is not None:
            hands.exchange(settlement, wanted=0)
            done.append(settlement)
    return done


def outcomes(done: list[Settlement]) -> list[type]:
    return [type(one.outcome) for one in done]


def test_progress_and_log_lines_stay_with_the_job_and_without_personal_values(hands: Hands, queue: Queue) -> None:
    @queue.task(personal=("email",))
    def send(email: str) -> None:
        job = current_job()
        job.progress(40, 100, f"to {email}\n")
        job.log(f"sent to {email}\x00")
        if job.attempt == 1:
            raise ValueError
        job.log("again")

    handle = send.enqueue("ada@example.org")
    assert (handle.progress, handle.logs()) == (None, [])
    work(hands, queue)
    told = handle.progress
    assert told is not None
    assert (told.done, told.total, told.text, told.percent) == (40, 100, "to ***", 40)
    lines = [(line.run, line.start, line.attempt, line.number, line.text) for line in handle.logs()]
    assert lines == [(1, 1, 1, 1, "sent to ***\\x00"), (1, 2, 2, 1, "sent to ***\\x00"), (1, 2, 2, 2, "again")]


def test_a_job_that_tells_and_keeps_nothing_leaves_no_rows(hands: Hands, queue: Queue) -> None:
    @queue.task()
    def quiet() -> None:
        current_job().check_cancelled()

    quiet.enqueue()
    assert outcomes(work(hands, queue)) == [Completed]
    assert not any(table.objects.exists() for table in (JobProgress, LogPart, Kept))


def test_of_too_many_lines_the_last_are_kept(hands: Hands, queue: Queue) -> None:
    @queue.task()
    def talk(times: int, text: str) -> None:
        for number in range(1, times + 1):
            current_job().log(f"{number} {text}")

    many, long = talk.enqueue(2_500, ""), talk.enqueue(300, "x" * 1_000)
    work(hands, queue)
    numbers = [line.number for line in many.logs()]
    assert numbers == list(range(1_501, 2_501))
    numbers = [line.number for line in long.logs()]
    assert numbers[-1] == 300
    assert numbers == list(range(numbers[0], 301))
    assert 50_000 < sum(len(line.text) for line in long.logs()) <= inside.MOST_BYTES


def test_a_cancellation_that_was_asked_for_is_raised(hands: Hands, queue: Queue, broker: Broker) -> None:
    seen: list[int] = []

    @queue.task()
    def long() -> None:
        for item in current_job().iterate(range(10), slice=3600):
            seen.append(item)
            if item == 2:
                context.request_cancel([handle.id])

    @queue.task()
    def looking() -> None:
        context.request_cancel([current_job().id])
        current_job().check_cancelled()

    handle = long.enqueue()
    looking.enqueue()
    assert outcomes(work(hands, queue)) == [GivenUp, GivenUp]
    assert seen == [0, 1, 2]


def test_a_step_is_done_once_over_retries_and_the_runs_of_a_person(hands: Hands, queue: Queue, bench: Bench) -> None:
    charged: list[str] = []

    def charge(amount: int) -> dict[str, int]:
        charged.append(current_job().idempotency_key)
        return {"charge": amount}

    @queue.task(attempts=2)
    def pay(amount: int) -> list[object]:
        job = current_job()
        receipt = job.step("charge", charge, amount)
        with job.step("mail") as step:
            if not step.done:
                if job.run == 1:
                    raise ValueError("no mail today")
                step.save({"to": 1})
        with job.step("note") as step:
            assert not step.done
        return [receipt, step.result]

    handle = pay.enqueue(5)
    assert outcomes(work(hands, queue)) == [Retried, Failed]
    bench.record(handle.id)  # on Redis the history hears of it
    retry(handle)
    assert outcomes(work(hands, queue)) == [Completed]
    assert (len(charged), handle.result(timeout=0)) == (1, [{"charge": 5}, None])
    assert [name for name, _, _ in inside.steps_of(handle.id)] == ["charge", "mail", "note"]


def test_a_block_that_never_asks_whether_it_is_done_is_told_so_the_first_time(hands: Hands, queue: Queue) -> None:
    @queue.task()
    def careless() -> None:
        with current_job().step("charge"):
            pass

    careless.enqueue()
    [done] = work(hands, queue)
    assert isinstance(done.outcome, Failed)
    assert "never asked step.done" in done.outcome.error


def test_what_a_step_keeps_goes_with_the_transaction_around_it(hands: Hands, queue: Queue) -> None:
    @queue.task(atomic=True)
    def atomic() -> None:
        current_job().step("make", lambda: Group.objects.create(name="sales").name)
        current_job().log("tried")
        if current_job().attempt == 1:
            raise ValueError

    @queue.task()
    def partly() -> None:
        job = current_job()
        for name in ("lost", "kept"):
            with transaction.atomic():
                job.step("make", lambda name=name: Group.objects.create(name=name).name)
                if name == "lost":
                    transaction.set_rollback(True)

    first, second = atomic.enqueue(), partly.enqueue()
    work(hands, queue)
    assert sorted(Group.objects.values_list("name", flat=True)) == ["kept", "sales"]
    assert [inside.steps_of(job.id)[0][1] for job in (first, second)] == ['"sales"', '"kept"']
    assert [line.text for line in first.logs()] == ["tried", "tried"]


def test_an_iteration_goes_on_behind_the_last_finished_item(
    hands: Hands, queue: Queue, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "CHUNK", 3)
    Group.objects.bulk_create(Group(name=f"{number:03}") for number in range(12))
    seen: list[str] = []

    @queue.task()
    def rename() -> None:
        for group in current_job().iterate(Group.objects.all()):
            if group.name == "007" and current_job().attempt == 1:
                raise ValueError
            seen.append(group.name)
            if group.name == "004":
                stop()
            group.delete()

    handle = rename.enqueue()
    [first] = work(hands, queue, 1)
    assert isinstance(first.outcome, HandedBack)
    assert seen == ["000", "001", "002", "003", "004"]
    context._stopping.clear()
    assert outcomes(work(hands, queue)) == [Retried, Completed]
    assert seen == [f"{number:03}" for number in range(12)]
    assert handle.attempt == 2


def test_a_slice_lets_others_have_their_turn_and_is_no_start_that_came_to_nothing(
    hands: Hands, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "MAX_STARTS", 3)
    seen: list[object] = []

    @queue.task()
    def long(name: str) -> None:
        for item in current_job().iterate([1, 2, 3, 4, 5], slice=1e-9):
            seen.append((name, item))

    long.enqueue("a")
    long.enqueue("b")
    assert outcomes(work(hands, queue))[-2:] == [Completed, Completed]
    assert seen == [(name, item) for item in range(1, 6) for name in "ab"]


def test_a_task_that_catches_the_stop_has_not_completed(hands: Hands, queue: Queue, stop: Stop) -> None:
    @queue.task()
    def stubborn() -> str:
        try:
            for _ in current_job().iterate(range(3)):
                stop()
        except BaseException:
            return "done"
        return "all"

    stubborn.enqueue()
    assert outcomes(work(hands, queue, 1)) == [HandedBack]
    context._stopping.clear()


def test_what_a_transaction_has_rolled_back_is_not_passed_over(hands: Hands, queue: Queue, stop: Stop) -> None:
    """Also where the transaction stands around several items."""
    left = [True]

    @queue.task()
    def fill() -> None:
        left_items = current_job().iterate([str(number) for number in range(6)], every=0)
        for _batch in range(3):
            with transaction.atomic():
                for _, name in zip(range(2), left_items, strict=False):
                    Group.objects.create(name=name)
                    left_items.save()
                    if name == "3" and left.pop():
                        left.append(False)
                        raise ValueError

    @queue.task()
    def fill_whole() -> None:
        with transaction.atomic():
            for name in current_job().iterate([f"w{number}" for number in range(4)], every=0, slice=1e-9):
                Group.objects.create(name=name)
                if name == "w2" and current_job().attempt == 1:
                    raise ValueError

    fill.enqueue()
    fill_whole.enqueue()
    work(hands, queue)
    names = sorted(Group.objects.values_list("name", flat=True))
    assert names == ["0", "1", "2", "3", "4", "5", "w0", "w1", "w2", "w3"]


def test_a_cursor_saved_with_an_items_changes_makes_them_happen_exactly_once(hands: Hands, queue: Queue) -> None:
    """A worker that is killed says nothing at its end: here the thread leaves before anything is kept."""

    @queue.task()
    def fill() -> None:
        names = current_job().iterate(["a", "b", "c"], every=3600)
        for name in names:
            with transaction.atomic():
                Group.objects.create(name=name)
                names.save()
            if name != "c":
                raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context.RunningJob, "keep_cursors", lambda self: None)
        fill.enqueue()
        work(hands, queue)
    assert sorted(Group.objects.values_list("name", flat=True)) == ["a", "b", "c"]


def test_without_that_the_items_since_the_last_kept_cursor_come_again(hands: Hands, queue: Queue) -> None:
    seen: list[int] = []

    @queue.task()
    def fill() -> None:
        for item in current_job().iterate(range(100), every=3600):
            seen.append(item)
            if item == 1 and len(seen) < 3:
                raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context.RunningJob, "keep_cursors", lambda self: None)
        fill.enqueue()
        work(hands, queue)
    assert seen == [0, 1, *range(100)]


def test_anything_else_goes_by_a_key_that_grows(hands: Hands, queue: Queue) -> None:
    seen: list[str] = []

    @queue.task()
    def read() -> None:
        rows = ({"id": letter} for letter in "abcdef" if letter != "c" or current_job().attempt == 1)
        for row in current_job().iterate(rows, cursor=lambda row: row["id"], name="rows"):
            if row["id"] == "d" and current_job().attempt == 1:
                raise ValueError
            seen.append(row["id"])

    read.enqueue()
    assert outcomes(work(hands, queue)) == [Retried, Completed]
    assert seen == list("abcdef")


def test_a_start_that_lost_its_job_cannot_write_over_what_a_later_one_keeps(
    hands: Hands, queue: Queue, bench: Bench
) -> None:
    told: list[object] = []

    @queue.task()
    def count(until: int) -> int:
        job = current_job()
        numbers = job.iterate(range(until), every=0)
        for item in numbers:
            job.progress(item)
            if item == 1 and job.starts == 1:
                # its lease ends here: another worker runs the job to its third item and is lost as well
                hands.broker.release(hands.record(hands.worker), lost=True)
                hands.worker = hands.new_worker()
                [later] = hands.claim(1, policy=queue.policy)
                execution.execute(later, queue, hands.worker)
            if item == 3 and job.starts == 2:
                told.append(inside.progress_of(job.id))
                raise SystemExit
        return numbers.number

    handle = count.enqueue(10)
    [claimed] = hands.claim(1, policy=queue.policy)
    mine = hands.worker
    settlement = execution.execute(claimed, queue, mine)
    assert settlement is not None
    assert isinstance(settlement.outcome, Retried)
    assert "LeaseLost" in settlement.outcome.error
    kept = Kept.objects.get(job_id=handle.id, name="items:items")
    assert kept.value == '{"cursor":3}'
    assert handle.progress is not None
    assert handle.progress.done == 3


def test_the_holder_takes_back_what_a_start_without_the_job_has_opened(hands: Hands, queue: Queue) -> None:
    @queue.task()
    def pay() -> None:
        job = current_job()
        job.step("one", lambda: 1)
        Kept.objects.filter(job_id=job.id, name="token").update(value="somebody else's")
        job.step("two", lambda: 2)

    handle = pay.enqueue()
    assert outcomes(work(hands, queue)) == [Completed]
    assert [name for name, _, _ in inside.steps_of(handle.id)] == ["one", "two"]


def test_without_the_database_a_task_tells_in_vain_and_keeps_loudly(
    hands: Hands, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Redis work goes on while the database is away."""

    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError("gone")

    @queue.task()
    def tell() -> str:
        current_job().progress(1)
        current_job().log("here")
        return "done"

    @queue.task()
    def pay() -> None:
        current_job().step("charge", lambda: 1)

    for name in ("tell", "open_kept", "keep"):
        monkeypatch.setattr(inside, name, away)
    tell.enqueue()
    pay.enqueue()
    done = work(hands, queue, 2)
    assert outcomes(done) == [Completed, Postponed]
    assert "could not be kept: OperationalError: gone" in done[1].outcome.reason  # type: ignore[union-attr]


def test_what_was_told_and_kept_goes_with_the_job(
    hands: Hands, queue: Queue, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    @queue.task()
    def tell(wait: bool) -> None:
        job = current_job()
        job.progress(1)
        job.log("here")
        job.step("charge", lambda: 1)
        if wait:
            raise RetryLater(3600)

    ended, late, living = tell.enqueue(False), JobHandle(clock.new_id()), tell.enqueue(True)
    work(hands, queue)
    bench.record(ended.id)
    assert clean("lane", "completed", timedelta(0)) == 1
    assert {row.job_id for table in (JobProgress, LogPart, Kept) for row in table.objects.all()} == {living.id}
    # told so late that the job was gone
    JobProgress.objects.create(pk=late.id, queue="lane", told_by=clock.now(), done=1, at=clock.now())
    prune.run()
    assert late.progress is not None
    monkeypatch.setattr(inside, "ORPHAN_AFTER", 0.0)
    prune.run()
    assert late.progress is None
    assert living.progress is not None
    assert len(living.logs()) == len(inside.steps_of(living.id)) == 1


def test_the_writing_thread_writes_of_a_job_twice_a_second_at_most_and_always_the_last(
    hands: Hands, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[object] = []
    real = inside.tell

    def tell(*args: object) -> None:
        writes.append(args[1])
        if len(writes) == 2:
            raise OperationalError("gone for a moment")
        real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(inside, "tell", tell)
    monkeypatch.setattr(reports, "AGAIN", 0.01)

    @queue.task()
    def count() -> None:
        for number in range(1, 20_001):
            current_job().progress(number, 20_000)
            if number % 5_000 == 0:
                current_job().log(str(number))

    handle = count.enqueue()
    reports.begin()
    try:
        began = clock.monotonic()
        work(hands, queue)
        took = clock.monotonic() - began
    finally:
        reports.finish(60)
    assert handle.progress is not None
    assert handle.progress.done == 20_000
    assert [line.text for line in handle.logs()] == ["5000", "10000", "15000", "20000"]
    assert len(writes) <= 4 + 2 * took


def test_a_task_that_is_called_in_place_needs_no_job(hands: Hands, queue: Queue) -> None:
    @queue.task()
    def everything() -> list[int]:
        job = current_job()
        job.progress(1, 2)
        job.log("x")
        job.step("a", lambda: 1)
        return list(job.iterate([1, 2]))

    assert everything.call() == [1, 2]
    assert not Kept.objects.exists()
    assert not Job.objects.exists()
