"""Jobs of a sequence run one after another, in the order in which they were accepted, whatever becomes of each."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from jobs import (
    Batch,
    Fixed,
    InvalidOption,
    InvalidTask,
    JobHandle,
    PermanentError,
    Queue,
    RateLimit,
    Refused,
    cancel,
    chain,
    clock,
    retry,
    retry_cause,
)
from jobs.broker.database import edges
from jobs.enqueue import sequences
from jobs.history.verdict import job_verdict
from jobs.keep import unblock
from jobs.models import Job

from .conftest import Flow

line = Queue("sequence_line", attempts=2, backoff=Fixed(0), keep_completed=5)
other = Queue("sequence_other", attempts=1, backoff=Fixed(0))
began: list[str] = []
broken: set[str] = set()


@line.task(name="sequence.step", sequence="lead_id")
def step(lead_id: int | None, text: str) -> str:
    began.append(text)
    if text in broken:
        raise ValueError(text)
    return text


@line.task(name="sequence.plain")
def plain(text: str) -> None:
    began.append(text)
    if text in broken:
        raise PermanentError(text)


@other.task(name="sequence.elsewhere")
def elsewhere(text: str) -> None:
    began.append(text)


@line.task(name="sequence.private", sequence="email", personal=("email",))
def private(email: str) -> None: ...


@pytest.fixture(autouse=True)
def nothing_began() -> None:
    began.clear()
    broken.clear()


def states(flow: Flow, handles: list[JobHandle]) -> list[str]:
    return [flow.state(handle) for handle in handles]


def test_the_next_starts_when_the_one_before_it_has_ended_retries_included(flow: Flow) -> None:
    broken.add("a")
    handles = [step.enqueue(7, text) for text in "abc"]
    assert states(flow, handles) == ["queued", "blocked", "blocked"]
    assert flow.step(line)
    flow.keep()
    assert states(flow, handles) == ["queued", "blocked", "blocked"]
    flow.work(line)
    assert began == ["a", "a", "b", "c"]
    assert states(flow, handles[:1]) == ["failed"]


def test_other_sequences_and_jobs_without_one_do_not_wait(flow: Flow) -> None:
    handles = [step.enqueue(7, "a"), step.enqueue(8, "b"), plain.enqueue("c"), step.enqueue(None, "d")]
    assert states(flow, handles) == ["queued"] * 4
    named = plain.using(sequence="7").enqueue("e")
    assert flow.state(named) == "blocked"  # a name is one whichever task gives it
    assert flow.state(elsewhere.using(sequence="7").enqueue("f")) == "queued"  # and is of its queue
    flow.work(line)
    assert sorted(began) == list("abcde")


def test_an_empty_sequence_leaves_nothing_and_begins_anew(flow: Flow) -> None:
    for text in "ab":
        step.enqueue(7, text)
    flow.work(line)
    assert Job.objects.filter(sequence="7").exclude(state="completed").count() == 0
    again = step.enqueue(7, "c")
    assert (flow.row(again).place, flow.state(again)) == (1, "queued")


def test_transaction_keeps_the_order_of_its_calls_and_of_commits(flow: Flow) -> None:
    with transaction.atomic():
        first = step.enqueue(7, "a")
        assert first.state == "blocked"
        second = plain.using(sequence="7").enqueue("b")
        with pytest.raises(RuntimeError), transaction.atomic():
            step.enqueue(7, "never")
            raise RuntimeError
        third = step.enqueue(7, "c")
    assert states(flow, [first, second, third]) == ["queued", "blocked", "blocked"]
    with pytest.raises(RuntimeError), transaction.atomic():
        step.enqueue(7, "nor this")
        raise RuntimeError
    step.enqueue_many([(7, "d"), {"lead_id": 7, "text": "e"}, (7, "f")])
    flow.work(line)
    assert began == list("abcdef")


def test_sequences_of_one_transaction_are_arranged_in_one_go(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    went: list[Any] = []
    monkeypatch.setattr(sequences, "arrange", lambda names, go=sequences.arrange: (went.append(names), go(names)))
    with transaction.atomic():
        for lead_id in (7, 8, 7):
            with transaction.atomic():
                step.enqueue(lead_id, "a")
        with pytest.raises(RuntimeError), transaction.atomic():
            step.enqueue(9, "never")
            raise RuntimeError
    assert len(went) == 1
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            step.enqueue(7, "never")
            raise RuntimeError
        step.enqueue(7, "a")
    assert len(went) == 2
    flow.work(line)
    assert began == ["a"] * 4


def test_one_that_is_enqueued_first_and_committed_later_runs_later(flow: Flow) -> None:
    if connection.vendor != "postgresql":
        # SQLite has one writer: the other one would wait for this transaction
        step.enqueue(7, "b"), step.enqueue(7, "a")
    else:
        with transaction.atomic():
            step.enqueue(7, "a")
            in_a_thread(lambda: step.enqueue(7, "b"))
    flow.work(line)
    assert began == ["b", "a"]


def in_a_thread(act: Any) -> None:
    def run() -> None:
        try:
            act()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "it waits for a transaction of people's"


def test_cancelled_in_the_middle_lets_nobody_overtake(flow: Flow) -> None:
    handles = [step.enqueue(7, text) for text in "abcd"]
    cancel(handles[1])
    flow.keep()
    assert states(flow, handles) == ["queued", "cancelled", "blocked", "blocked"]
    cancel(handles[0])
    flow.keep()
    assert states(flow, handles) == ["cancelled", "cancelled", "queued", "blocked"]
    flow.work(line)
    assert began == ["c", "d"]


def test_expired_one_lets_the_next_go(flow: Flow) -> None:
    first = step.enqueue(7, "a")
    late = step.using(expires=0.05).enqueue(7, "b")
    step.enqueue(7, "c")
    until = clock.monotonic() + 10
    while flow.state(late) != "expired" and clock.monotonic() < until:
        flow.keep()
    assert states(flow, [first, late]) == ["queued", "expired"]
    flow.work(line)
    assert began == ["a", "c"]


def test_retried_dead_letter_goes_to_the_end(flow: Flow) -> None:
    broken.add("a")
    handles = [step.enqueue(7, text) for text in "ab"]
    while flow.step(line) and flow.state(handles[0]) != "failed":
        flow.keep()
    flow.keep()
    late = step.enqueue(7, "c")
    broken.clear()
    retry(handles[0])
    assert flow.state(handles[0]) == "blocked"
    last = step.enqueue(7, "d")
    assert states(flow, [handles[1], late, last]) == ["queued", "blocked", "blocked"]
    flow.work(line)
    assert began == ["a", "a", "b", "c", "a", "d"]


def test_retry_of_a_cause_keeps_to_sequences(flow: Flow) -> None:
    broken.update("ab")
    for text in "ab":
        plain.using(sequence="s").enqueue(text)
    flow.work(line)
    broken.clear()
    began.clear()
    for cause in set(Job.objects.filter(state="failed").values_list("cause", flat=True)):
        retry_cause(cause, pace=RateLimit(1, per=1))
    assert Job.objects.filter(sequence="s", state="blocked").count() == 1
    flow.work(line)
    assert sorted(began) == ["a", "b"]


def test_retry_in_a_transaction_waits_for_its_commit(flow: Flow) -> None:
    broken.add("a")
    dead = plain.using(sequence="s").enqueue("a")
    flow.work(line)
    broken.clear()
    with transaction.atomic():
        retry(dead)
        assert flow.row(dead).place is None
    assert flow.state(dead) == "queued"


def test_delayed_one_holds_up_those_behind_it(flow: Flow) -> None:
    slow = step.using(delay=timedelta(minutes=1)).enqueue(7, "a")
    step.enqueue(7, "b")
    assert flow.work(line) == []
    slow.promote()
    assert flow.work(line) == ["step", "step"]


def test_sequence_and_what_a_job_waits_for_hold_together(flow: Flow) -> None:
    free = elsewhere.enqueue("x")
    broken.add("z")
    first = step.using(after=[free]).enqueue(7, "a")
    ended = plain.enqueue("z")
    second = plain.using(sequence="7", after=[ended], on_failure="run").enqueue("b")
    chained = chain(step.bind(7, "c"), plain.using(sequence="7").bind("d")).enqueue()
    flow.work(line)
    assert states(flow, [first, second, *chained]) == ["blocked"] * 4
    flow.work(other)
    flow.work(line)
    assert began == ["z", "x", "a", "b", "c", "d"]


def test_jobs_of_a_batch_may_be_of_a_sequence_and_what_follows_it_not(flow: Flow) -> None:
    with Batch("b", on_complete=plain.bind("end")) as batch:
        batch.add_many(step.bind(7, text) for text in "abc")
    flow.work(line)
    assert began == ["a", "b", "c", "end"]
    with pytest.raises(InvalidOption, match="sequence"), Batch("c", on_complete=step.bind(7, "no")) as batch:
        batch.add(plain.bind("a"))


def test_duplicate_of_a_key_gives_its_place_up(flow: Flow) -> None:
    holder = plain.using(key="k", delay=60).enqueue("x")
    twin = plain.using(sequence="7", key="k").enqueue("y")
    step.enqueue(7, "a")
    flow.keep()
    assert flow.state(twin) == "cancelled"
    flow.work(line)
    assert began == ["a"]
    assert holder.cancel() == "cancelled"


def test_what_a_dead_process_left_without_a_place_gets_one_before_the_next(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sequences, "_arrange_committed", lambda names: None)
        left = step.enqueue(7, "a")
    assert (flow.state(left), flow.row(left).place) == ("blocked", None)
    step.enqueue(7, "b")
    assert (flow.state(left), flow.row(left).place) == ("queued", 1)
    with monkeypatch.context() as patch:
        patch.setattr(sequences, "_arrange_committed", lambda names: None)
        step.enqueue(8, "c")
    flow.work(line)
    assert sorted(began) == list("abc")


def test_first_that_somebody_has_locked_is_let_go_later(flow: Flow) -> None:
    if connection.vendor != "postgresql":
        return  # one writer: nobody has anything locked
    first, second = step.enqueue(7, "a"), step.enqueue(7, "b")
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=second.id)
        in_a_thread(lambda: (flow.work_alone(line), edges.decide_now(connections["default"], straight=True)))
        assert began == ["a"]
    assert flow.row(first).awaited
    flow.work(line)
    assert began == ["a", "b"]


def test_name_is_the_argument_and_never_personal(flow: Flow) -> None:
    assert flow.row(step.enqueue(7, "a")).sequence == "7"
    row = flow.row(private.enqueue("ada@example.org"))
    assert row.sequence.startswith("#")
    assert "ada" not in row.sequence
    assert flow.row(private.enqueue("ada@example.org")).sequence == row.sequence
    long = Queue("sequence_long").task(name="sequence.long", sequence="text")(lambda_task)
    assert flow.row(long.enqueue("x" * 500)).sequence.startswith("#")


def lambda_task(text: str) -> None: ...


@pytest.mark.parametrize("wrong", ["", " ", "a\nb", "x" * 101, 7])
def test_wrong_name_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidOption, match="sequence="):
        plain.using(sequence=wrong)


def test_argument_that_names_the_sequence_is_not_edited(flow: Flow) -> None:
    broken.add("a")
    dead, later = step.enqueue(7, "a"), step.enqueue(7, "b")
    with pytest.raises(Refused, match="lead_id names its sequence"):
        later.edit(lead_id=8)
    later.edit(text="c")
    flow.work(line)
    assert began == ["a", "a", "c"]
    with pytest.raises(Refused, match="lead_id names its sequence"):
        retry(dead, arguments={"lead_id": 8})


def test_page_says_whose_turn_it_is(flow: Flow) -> None:
    first, _second, third = [step.enqueue(7, text) for text in "abc"]
    text = job_verdict(flow.row(third))
    assert text == f"Waits for its turn in the sequence 7, behind 2 other jobs. The first is {first.id}."


def test_wrong_parameter_is_refused() -> None:
    with pytest.raises(InvalidTask, match="sequence='nobody'"):
        line.task(name="sequence.wrong", sequence="nobody")(lambda_task)


def test_eight_threads_enqueue_and_one_sequence_never_has_two_active(flow: Flow) -> None:
    accepted: list[str] = []
    problems: list[BaseException] = []
    lock = threading.Lock()

    def enqueue(number: int) -> None:
        try:
            for i in range(4):
                text = f"{number}.{i}"
                if i % 2:
                    with transaction.atomic():
                        plain.using(sequence="race").enqueue(text)
                else:
                    plain.using(sequence="race").enqueue(text)
                with lock:
                    accepted.append(text)
        except BaseException as error:
            problems.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=enqueue, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        live = Job.objects.filter(sequence="race", state__in=["queued", "active", "pending"]).count()
        assert live <= 1
        flow.step(line)
    for thread in threads:
        thread.join()
    assert problems == []
    placed = list(
        Job.objects.filter(sequence="race", state="blocked").order_by("place").values_list("place", flat=True)
    )
    assert len(set(placed)) == len(placed)
    flow.work(line)
    assert sorted(began) == sorted(accepted)
    for number in range(8):
        mine = [text for text in began if text.startswith(f"{number}.")]
        assert mine == [f"{number}.{i}" for i in range(4)]


@pytest.mark.slow
def test_ten_thousand_of_one_sequence_take_seconds(flow: Flow) -> None:
    start = clock.monotonic()
    plain.using(sequence="many").enqueue_many([str(i) for i in range(10_000)])
    assert clock.monotonic() - start < 30
    start = clock.monotonic()
    for _ in range(200):
        assert flow.step(line) or (flow.keep() or flow.step(line))
    assert clock.monotonic() - start < 60
    assert began == [str(i) for i in range(200)]


def test_keeper_has_nothing_to_do_where_nothing_waits(flow: Flow) -> None:
    flow.keep()
    unblock._look_at = float("-inf")
    assert unblock.run() == 0
