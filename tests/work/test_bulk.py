"""Tasks that take several jobs in one call: what is refused, and how each job ends whatever becomes of the others."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from jobs import (
    BulkJob,
    Fixed,
    InvalidArguments,
    InvalidTask,
    NotInTask,
    NotSupported,
    PermanentError,
    Queue,
    clock,
    current_job,
)
from jobs.broker.records import Answer, ClaimedJob, Completed, Exchange, Failed, HandedBack, Settled, Settlement
from jobs.define.context import request_cancel
from jobs.history.verdict import job_verdict
from jobs.models import Attempt, Job
from jobs.policy import MOST_AT_ONCE, Bulk
from jobs.states import State
from jobs.testing import Drained, drain, inline
from jobs.work.announce import Announcer
from jobs.work.calls import calls_of, take_ended
from jobs.work.pool import Pool
from tests.each_broker import each_broker as each_broker

lane = Queue("bulk_lane", attempts=2, backoff=Fixed(0))
calls: list[list[str]] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


@dataclass(frozen=True)
class Contact:
    name: str
    number: UUID | None = None
    how: str = ""


@lane.task(name="bulk.push", bulk=3, bulk_min=2, wait=60, personal=["name"], unique=["name"])
def push_contacts(jobs: list[BulkJob[Contact]]) -> None:
    calls.append([job.args.name for job in jobs])
    for job in jobs:
        assert job.args.number is None or isinstance(job.args.number, UUID)
        if job.args.how in ("done", "done, all"):
            job.complete({"attempt": job.attempt})
        elif job.args.how == "bad":
            job.fail(PermanentError(f"{job.args.name} is nobody"))
        elif job.args.how == "once more":
            job.fail(ValueError("not this time"))
        elif job.args.how == "later":
            job.retry_later(3_600, reason="busy")
        elif job.args.how == "unfit":
            job.complete(object())
        elif job.args.how == "cancel":
            request_cancel([job.id])
            job.check_cancelled()
    if any(job.args.how.endswith("all") for job in jobs):
        raise RuntimeError(f"nobody took {jobs[-1].args.name}")


@lane.task(name="bulk.async", bulk=10, timeout=5)
async def push_async(jobs: list[BulkJob[Contact]]) -> None:
    calls.append([f"{job.args.name} {job.time_remaining > 1}" for job in jobs])
    with pytest.raises(NotInTask, match="a bulk task is given its jobs in a list"):
        current_job()
    with pytest.raises(NotSupported, match="iterate"):
        jobs[0].iterate([1])
    with pytest.raises(InvalidArguments, match="expected an exception"):
        jobs[0].fail("broken")  # type: ignore[arg-type]
    for job in jobs:
        job.log(f"hello {job.args.name}")


def refuse(said: str, func: Callable[..., Any], **options: Any) -> None:
    with pytest.raises(InvalidTask, match=said):
        Queue("bulk_refusals_lane").task(**options)(func)


def test_what_is_no_bulk_task_is_refused_with_the_remedy() -> None:
    def store(jobs: list[BulkJob[Contact]]) -> None: ...

    def counts(jobs: list[BulkJob[Contact]]) -> int:
        return 1

    def one(name: str) -> None: ...

    def plain(jobs: list[Contact]) -> None: ...

    def two(jobs: list[BulkJob[Contact]], more: int) -> None: ...

    @dataclass
    class Many:
        names: list[str] = field(default_factory=list)

    def made(jobs) -> None:  # type: ignore[no-untyped-def]
        ...

    made.__annotations__["jobs"] = list[BulkJob[Many]]
    for func in (one, plain, two):
        refuse(r"expected one parameter that is a list of BulkJob\[...\] of a dataclass", func, bulk=10)
    refuse("Many.names has a default_factory", made, bulk=10)
    refuse("returns nothing, since each job has a result of its own", counts, bulk=10)
    refuse("bulk=0: expected a whole number from 1 to 1,000", store, bulk=0)
    refuse("bulk_min=11: expected a whole number from 1 to 10", store, bulk=10, bulk_min=11, wait=1)
    refuse("bulk_min=5 without wait=", store, bulk=10, bulk_min=5)
    refuse("wait=2 where one job is enough", store, bulk=10, bulk_min=1, wait=2)
    refuse("wait='2': expected seconds", store, bulk=10, wait="2")
    refuse("wait=2 without bulk=", one, wait=2)
    refuse("bulk= and atomic=True", store, bulk=10, atomic=True)
    refuse("bulk= and isolated=True", store, bulk=10, isolated=True, timeout=1)
    refuse("bulk= and context=True", store, bulk=10, context=True)
    assert lane.policy.bulks == {"bulk.push": Bulk(3, 2, 60), "bulk.async": Bulk(10)}
    full = Queue("bulk_full_lane").task(bulk=10, wait=2)(store)
    assert full.bulk == Bulk(10, 10, 2)


def test_arguments_are_those_of_one_job_and_are_checked_when_it_is_enqueued() -> None:
    with pytest.raises(InvalidArguments, match="missing a required argument: 'name'"):
        push_contacts.bind()
    with pytest.raises(InvalidArguments, match="argument number="):
        push_contacts.bind("ada", number="x")
    assert push_contacts.key_of("ada") == push_contacts.key_of(name="ada")
    assert push_contacts.call("ada", how="done") == {"attempt": 1}
    assert push_contacts.call("ada") is None
    with pytest.raises(PermanentError, match="ada is nobody"):
        push_contacts.call("ada", how="bad")
    assert calls == [["ada"]] * 3


def test_each_job_of_a_call_ends_by_itself(each_broker: str) -> None:
    number = clock.new_id()
    handles = push_contacts.enqueue_many(
        [{"name": "ada", "number": number, "how": "done"}, ("beth", None, "bad"), ("carl", None, "once more"), "dora"]
        + [("emil", None, "later")]
    )
    assert drain("bulk_lane") == Drained(completed=2, failed=2, retried=1, postponed=1)
    assert calls == [["ada", "beth", "carl"], ["dora", "emil", "carl"]]
    ada, beth, carl, dora, emil = handles
    assert ada.result(timeout=0) == {"attempt": 1}
    assert [handle.state for handle in handles] == ["completed", "failed", "failed", "completed", "queued"]
    assert dora.result(timeout=0) is None
    rows = {row.pk: row for row in Job.objects.all()}
    assert rows[beth.id].error == "PermanentError: *** is nobody"
    assert (rows[beth.id].attempts, rows[carl.id].attempts, rows[emil.id].attempts) == (1, 2, 0)


@pytest.mark.django_db
def test_what_the_function_raises_fails_all_of_which_nothing_was_said() -> None:
    fine, first, last = push_contacts.enqueue_many([("ada", None, "done"), ("beth", None, "all"), "carl"])
    assert drain("bulk_lane") == Drained(completed=1, failed=2, retried=2)
    assert calls == [["ada", "beth", "carl"], ["beth", "carl"]]
    assert [handle.state for handle in (fine, first, last)] == ["completed", "failed", "failed"]
    for handle in (first, last):  # whose personal data it was, each of them would show it
        row = Job.objects.get(pk=handle.id)
        assert row.error == "RuntimeError: nobody took ***"
        assert "carl" not in Attempt.objects.filter(job_id=row.pk)[0].traceback


@pytest.mark.django_db
def test_what_the_function_raises_behind_the_end_of_all_its_jobs_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    push_contacts.enqueue_many([("ada", None, "done"), ("beth", None, "done, all")])
    assert drain("bulk_lane") == Drained(completed=2)
    (told,) = (record.getMessage() for record in caplog.records if record.name == "jobs.execution")
    assert told.startswith("after_end_failed id=")
    assert told.endswith("RuntimeError: nobody took ***\\n")


@pytest.mark.django_db(transaction=True)
def test_a_job_that_waits_for_others_says_so() -> None:
    said = "Its task takes several jobs at once: it starts when 2 are due, or in"
    soon, later = push_contacts.enqueue("ada"), push_contacts.using(delay=100).enqueue("beth")
    assert said in job_verdict(Job.objects.get(pk=soon.id))
    assert said not in job_verdict(Job.objects.get(pk=later.id))


@pytest.mark.django_db
def test_a_result_that_is_no_json_fails_its_own_job_alone() -> None:
    unfit, fine = push_contacts.enqueue_many([("ada", None, "unfit"), "beth"])
    assert drain("bulk_lane") == Drained(completed=1, failed=1)
    assert (unfit.state, fine.state) == ("failed", "completed")


@pytest.mark.django_db
def test_a_job_that_agrees_to_stop_takes_no_other_along() -> None:
    asked, other = push_contacts.enqueue_many([("ada", None, "cancel"), "beth"])
    assert drain("bulk_lane") == Drained(cancelled=1, completed=1, handed_back=1)
    assert (asked.state, other.state) == ("cancelled", "completed")
    assert Job.objects.get(pk=other.id).attempts == 1


@pytest.mark.django_db(transaction=True)
def test_async_functions_and_inline_jobs_take_bulks_too() -> None:
    with inline():
        first, last = push_async.enqueue_many(["ada", "beth"])
    assert calls == [["ada True", "beth True"]]
    assert [line.text for line in last.logs()] == ["hello beth"]
    assert first.state == "completed"


@pytest.mark.django_db
def test_hooks_and_receivers_of_huey_see_each_job(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[Any] = []

    def refuse_beth(huey_task: Any) -> None:
        if huey_task.args[0] == "beth":
            from huey.exceptions import CancelExecution

            raise CancelExecution("not her")

    monkeypatch.setitem(lane._pre_execute, "refuse", refuse_beth)
    monkeypatch.setitem(lane._post_execute, "note", lambda task, value, error: ended.append((task.args[0], value)))
    ada, beth = push_contacts.enqueue_many([("ada", None, "done"), "beth"])
    drain("bulk_lane")
    assert (ada.state, beth.state) == ("completed", "cancelled")
    assert ended == [("ada", {"attempt": 1})]


def claimed(name: str, **options: Any) -> ClaimedJob:
    now = clock.now()
    message = push_contacts.signature.encode((name,), {})
    return ClaimedJob(clock.new_id(), 1, "bulk_lane", "bulk.push", message, 0, "1", 0, 0, 0, now, now, **options)


def test_a_call_holds_jobs_of_one_group_and_at_most_so_many() -> None:
    jobs = [claimed(str(number), group="ab"[number % 2]) for number in range(8)]
    plain = ClaimedJob(clock.new_id(), 1, "bulk_lane", "bulk.gone", "{}", 0, "1", 0, 0, 0, clock.now(), clock.now())
    found = calls_of([*jobs[:4], plain, *jobs[4:]], lane)
    assert found == [tuple(jobs[0:6:2]), tuple(jobs[1:7:2]), plain, (jobs[6],), (jobs[7],)]


def test_an_exchange_settles_a_thousand_jobs_or_about_a_mebibyte_of_a_call() -> None:
    job = claimed("ada")
    done: Any = deque([deque(Settlement(job, Completed()) for _ in range(1_500)), None])
    assert [(len(taken), ended) for taken, ended in (take_ended(done), take_ended(done))] == [(1_000, 0), (500, 2)]
    done = deque([deque(Settlement(job, Failed("x", "y" * 30_000)) for _ in range(50))])
    assert [len(take_ended(done)[0]), len(take_ended(done)[0]), len(done)] == [35, 15, 0]


def test_no_news_is_given_up_because_two_large_calls_end_at_once() -> None:
    announcer = Announcer(lane)
    for _ in range(2 * MOST_AT_ONCE):
        announcer.put(Settlement(claimed("ada"), Failed("x")), Settled(Answer.COUNTED, State.FAILED))
    assert announcer._lines.dropped == 0


class Store:
    """What a broker would hand out and hear."""

    def __init__(self, *claims: list[ClaimedJob]) -> None:
        self.claims = deque(claims)
        self.settled: list[Settlement] = []
        self.wanted: list[int] = []

    def exchange(self, worker: UUID, policy: Any, settlements: Any, wanted: int, **options: Any) -> Exchange:
        self.settled += settlements
        self.wanted.append(wanted)
        jobs = self.claims.popleft() if wanted and self.claims else []
        return Exchange(tuple(Settled(Answer.COUNTED, State.COMPLETED) for _ in settlements), tuple(jobs))

    def report_trouble(self, *given: object) -> None: ...

    def report_dropped(self, *given: object) -> None: ...


@pytest.mark.django_db(transaction=True)
def test_a_call_holds_one_thread_and_a_stop_hands_back_what_has_not_begun() -> None:
    let_go, began = threading.Event(), threading.Event()
    held = Queue("bulk_held_lane", concurrency=1)

    @held.task(name="bulk.hold", bulk=10)
    def hold(jobs: list[BulkJob[Contact]]) -> None:
        began.set()
        assert let_go.wait(30)

    def of_hold(group: str) -> ClaimedJob:
        now, message = clock.now(), hold.signature.encode(("ada",), {})
        return ClaimedJob(clock.new_id(), 1, held.name, "bulk.hold", message, 0, "1", 0, 0, 0, now, now, group=group)

    first, second = [of_hold("a") for _ in range(4)], [of_hold("b") for _ in range(3)]
    store = Store(first + second)
    pool = Pool(held, store, clock.new_id())  # type: ignore[arg-type]
    thread = threading.Thread(target=pool.work, daemon=True)
    thread.start()
    assert began.wait(30)
    assert store.wanted == [1]
    assert (pool.held, pool.jobs) == (2, 7)
    pool.close()
    let_go.set()
    thread.join(30)
    assert not thread.is_alive()
    ends = {one.job.id: type(one.outcome) for one in store.settled}
    assert ends == {job.id: Completed for job in first} | {job.id: HandedBack for job in second}
    assert pool.held == 0
