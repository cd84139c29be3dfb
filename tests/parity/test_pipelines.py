"""Huey's own test cases of pipelines, groups and chords (huey/tests/test_api.py), re-stated against `Queue`."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from huey import chord, group

from jobs import (
    Fixed,
    InvalidArguments,
    InvalidOption,
    JobFailed,
    JobHandle,
    NotSupported,
    Queue,
    Refused,
    Subject,
    clock,
    current_job,
    erase_jobs,
    testing,
)
from jobs.history import lookup
from jobs.models import Edge, Job
from jobs.operate.edit import amend
from jobs.states import State
from tests.each_broker import each_broker as each_broker

pipes = Queue("pipes", attempts=1, backoff=Fixed(0))
other = Queue("pipes_other", attempts=1)
heard: list[Any] = []


@pipes.task(name="pipes.fib")
def fib(a: int, b: int = 1) -> Any:
    return a + b, a


@pipes.task(name="pipes.stateful")
def stateful(v1: int | None = None, v2: int | None = None, v3: int | None = None) -> dict[str, int]:
    return {
        "v1": v1 + 1 if v1 is not None else 0,
        "v2": v2 + 2 if v2 is not None else 0,
        "v3": v3 + 3 if v3 is not None else 0,
    }


@pipes.task(name="pipes.add")
def add(a: int, b: int, c: int = 0) -> int:
    return a + b + c


@other.task(name="pipes.mul")
def mul(a: int, b: int) -> int:
    return a * b


@pipes.task(name="pipes.down")
def down(n: int) -> int:
    if n < 1:
        raise ValueError(n)
    return n - 1


@pipes.task(name="pipes.same")
def same(value: Any = "nothing") -> Any:
    return value


@pipes.task(name="pipes.nothing")
def nothing() -> Any:
    return ()


@other.task(name="pipes.total")
def total(numbers: list[Any]) -> int:
    return sum(numbers)


@pipes.task(name="pipes.hear")
def hear(*told: Any) -> None:
    heard.append(told)


@pipes.task(name="pipes.hear_and_fail")
def hear_and_fail(n: int, error: str) -> None:
    heard.append((n, error))
    raise KeyError(n)


@other.task(name="pipes.write_to", personal=("to",))
def write_to(to: str) -> str:
    return f"sent to {to}"


@other.task(name="pipes.write_to_lead")
def write_to_lead(to: str, lead_id: str) -> str:
    return f"sent to {to}"


@pipes.task(name="pipes.fib_text")
def fib_text() -> Any:
    return "ada@example.org", 7


@other.task(name="pipes.told_of")
def told_of() -> Any:
    (first,) = current_job().after
    assert isinstance(first.result, tuple)
    return list(first.result)


@pipes.task(name="pipes.once", unique=("n",))
def once(n: int) -> int:
    return n


@pytest.fixture(autouse=True)
def _queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.defined.queues", lambda: {one.name: one for one in (pipes, other)})
    heard.clear()


def run(made: Any) -> Any:
    enqueued = pipes.enqueue(made)
    testing.run_jobs()
    return enqueued


def states(handles: Any) -> list[str]:
    return [handle.state for handle in handles]


def pipelines() -> dict[str, tuple[Any, list[Any]]]:
    first = add.s(1, 2)
    return {
        "tuple": (fib.s(1).then(fib).then(fib).then(fib), [(2, 1), (3, 2), (5, 3), (8, 5)]),
        "dict": (
            stateful.s(v1=4).then(stateful, v2=6).then(stateful, v2=1, v3=8),
            [{"v1": 5, "v2": 0, "v3": 0}, {"v1": 6, "v2": 8, "v3": 3}, {"v1": 7, "v2": 3, "v3": 11}],
        ),
        "partial": (add.s(1, 2).then(mul, 4).then(add, -5).then(mul, 3).then(add, 8), [3, 12, 7, 21, 29]),
        "instances": (first.then(add.s(3)).then(mul.s(4)).then(mul.s(), 5), [3, 6, 24, 120]),
        "names": (add.s(1, 2).then(add.s(), 3).then(add.s(), 4, c=5), [3, 6, 15]),
        "none": (same.s(None).then(same), [None, "nothing"]),
        "empty tuple": (nothing.s().then(same), [(), "nothing"]),
    }


@pytest.mark.django_db
@pytest.mark.parametrize("name", pipelines())
def test_a_pipeline_passes_each_result_on(name: str) -> None:
    made, expected = pipelines()[name]
    enqueued = run(made)
    assert len(enqueued) == len(expected)
    assert enqueued() == expected
    assert enqueued[0] == expected[0]


def test_a_pipeline_runs_over_queues_and_its_error_handler_only_where_its_own_job_fails(each_broker: str) -> None:
    made = down.s(1).error(hear, "first").then(down).then(total)
    made.on_complete.error(hear_and_fail, 7).error(hear, 9)
    made.on_complete.on_complete.error(hear, "third")
    with transaction.atomic():
        enqueued = pipes.enqueue(made)
    testing.run_jobs()
    assert heard == [(7, "ValueError: 0"), (9, "KeyError: 7")]
    assert states(enqueued) == [State.COMPLETED, State.FAILED, State.FAILED]
    unneeded = Job.objects.filter(task="pipes.hear", state=State.CANCELLED).order_by("pk")
    assert [job.reason.split()[:5] for job in unneeded] == [["it", "only", "follows", "a", "failure"]] * 2
    with pytest.raises(JobFailed):
        enqueued()


def test_a_chord_follows_when_all_members_have_ended_however_they_did(each_broker: str) -> None:
    members = [add.s(1, 1).then(mul, 10), down.s(0), same.s("later", delay=60)]
    enqueued = pipes.enqueue(chord(members, same).then(hear))
    list(enqueued.results)[2].cancel()
    testing.run_jobs()
    failed = list(enqueued.results)[1]
    expected = [20, {"error": "ValueError: 0", "task_id": str(failed.id)}, None]
    assert (enqueued(), heard) == (expected, [(expected,)])
    assert states(enqueued.pipeline_results) == [State.COMPLETED, State.COMPLETED]


@pytest.mark.django_db
def test_chords_nest_and_an_empty_one_calls_back_with_nothing() -> None:
    inner = chord([same.s(1), same.s(2)], total.s().then(mul, 100))
    assert run(chord([inner, same.s(99)], same))() == [300, 99]
    assert run(chord([], total))() == 0


@pytest.mark.django_db
def test_a_group_answers_in_order_and_followed_by_a_task_is_a_chord() -> None:
    enqueued = run(group([add.s(1, 2), mul.s(3, 4).then(add, 1), down.s(0)]).error(hear))
    assert [one.get() if not isinstance(one, JobHandle) else one.state for one in enqueued] == [
        State.COMPLETED,
        [12, 13],
        State.FAILED,
    ]
    assert heard == [("ValueError: 0",)]
    assert run(group([same.s(1), same.s(2)]).then(total))() == 3
    assert run(group([]))() == []


@pytest.mark.django_db
def test_a_job_that_is_not_ready_answers_none_and_a_delay_holds_for_what_follows() -> None:
    enqueued = run(add.s(1, 2).then(mul.s(2, delay=60)))
    assert enqueued() == [3, None]
    last = list(enqueued)[1]
    assert (last.shown_state, last.job.ready_at > clock.now()) == ("scheduled", True)


@pytest.mark.django_db
def test_a_retry_of_what_never_ran_begins_with_what_failed_and_the_pipeline_goes_on() -> None:
    first, last = run(down.s(0).then(add, 1))
    assert states([first, last]) == [State.FAILED, State.FAILED]
    first.edit(n=5)
    last.retry()
    testing.run_jobs()
    assert last.result(0) == 5


@pytest.mark.django_db
def test_a_result_that_does_not_fit_is_told_with_the_task() -> None:
    _first, last = run(fib.s(1).then(total))
    assert last.state == State.QUEUED
    assert "arguments do not fit pipes.total" in last.job.reason


@pytest.mark.django_db
def test_a_pipeline_commits_with_its_transaction() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        pipes.enqueue(chord([same.s(1)], total).error(hear))
        raise RuntimeError
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: add.s(1, 2, 3, 4), InvalidArguments, "too many positional"),
        (lambda: add.s("one"), InvalidArguments, "argument a='one'"),
        (lambda: add.s(1, d=2), InvalidArguments, "unexpected keyword argument 'd'"),
        (lambda: pipes.enqueue(add.s(1)), InvalidArguments, "missing a required argument: 'b'"),
        (lambda: pipes.enqueue(add.s(1, 2).then(add.s(1), "x")), InvalidArguments, "argument b='x'"),
        (lambda: add.s(1, retries=2), NotSupported, "use attempts="),
        (lambda: add.s(1, id="x"), NotSupported, "the job's id is made"),
        (lambda: pipes.enqueue(add), InvalidOption, "expected what task.s"),
        (lambda: pipes.enqueue(chord([group([same.s()])], same)), InvalidOption, "a group is no member"),
        (lambda: pipes.enqueue(same.s(1).then(once)), InvalidOption, "pipes.once in a pipeline"),
    ],
)
@pytest.mark.django_db
def test_what_cannot_be_is_refused_with_the_remedy(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()
    assert not Job.objects.exists()


def test_a_pipeline_that_comes_back_to_itself_is_refused() -> None:
    made = same.s(1)
    made.then(made)
    with pytest.raises(InvalidOption, match="comes back to itself"):
        pipes.enqueue(made)


@pytest.mark.django_db
def test_without_the_result_that_it_takes_a_job_is_a_dead_letter_and_runs_nothing() -> None:
    first, last = pipes.enqueue(add.s(1, 2).then(same))
    first.cancel()
    testing.run_jobs()
    last.retry()
    testing.run_jobs()
    assert (last.state, last.error.partition(":")[0]) == (
        "failed",
        "the job that it takes its arguments of has not completed",
    )


@pytest.mark.django_db
def test_who_waits_for_a_result_is_not_edited() -> None:
    _first, last = pipes.enqueue(add.s(1, 2).then(add, 4))
    for edit in (lambda: last.edit(c=5), lambda: amend(last, arguments={"c": 5})):
        with pytest.raises(Refused):
            edit()


@pytest.mark.django_db
def test_a_personal_argument_that_came_through_a_pipeline_is_masked_in_the_result() -> None:
    _first, last = run(same.s("ada@example.org").then(write_to))
    assert last.result() == "sent to ada@example.org"
    assert lookup.shown_result(last.refresh()) == "sent to ***"


@pytest.mark.django_db
@pytest.mark.parametrize("ran", [False, True])
@pytest.mark.parametrize("by", ["subject", "text"])
def test_an_erasure_reaches_who_got_the_person_through_a_pipeline(ran: bool, by: str) -> None:
    person = "0190b7a4-0000-7000-8000-00000000000a"
    first, last = pipes.enqueue(same.s({"lead_id": person, "to": "ada@example.org"}).then(write_to_lead))
    testing.run_jobs(None if ran else "pipes")
    subjects, texts = ([Subject("leads.lead", person)], []) if by == "subject" else ([], ["ada@example.org"])
    erase_jobs(subjects, texts)
    testing.run_jobs()
    assert [job.state for job in (first, last)] == ["completed", "completed" if ran else "cancelled"]
    assert "ada@" not in f"{last.job.message} {last.job.result} {last.job.error}"
    assert not Edge.objects.filter(result__contains="ada@").exists()


@pytest.mark.django_db
def test_a_tuple_out_of_which_a_text_was_taken_is_still_one() -> None:
    """Of a job that takes nothing of it, and so goes on."""
    first = fib_text.enqueue()
    waits = told_of.using(after=[first]).enqueue()
    testing.run_jobs("pipes")
    erase_jobs([], ["ada@example.org"])
    testing.run_jobs()
    assert waits.result() == ["erased", 7]
    assert Edge.objects.get().result.startswith(" [")


@pytest.mark.django_db
def test_an_erasure_spares_who_takes_nothing_of_the_person_whatever_the_arguments_look_like() -> None:
    first = same.enqueue("ada@example.org")
    waits = same.using(after=[first]).enqueue({"v": 2, "takes": "result"})
    erase_jobs([], ["ada@example.org"])
    assert (first.state, waits.job.reason, waits.job.args) == ("cancelled", "", [{"v": 2, "takes": "result"}])
