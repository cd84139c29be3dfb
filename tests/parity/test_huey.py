"""What Huey's own tests say of its behaviour (huey/tests/test_api.py, test_signals.py), re-stated against `Queue`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.template import Context, Template
from django.utils import timezone
from huey import CancelExecution, RetryTask, crontab, signals

import jobs
from jobs import Fixed, InvalidOption, JobFailed, NotSupported, Queue, ResultTimeout, clock, current_job, testing
from jobs.define import huey as huey_interface

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    """A queue that this test knows alone."""
    made = Queue("hueys", attempts=2, backoff=Fixed(0))
    monkeypatch.setattr("jobs.defined.queues", lambda: {made.name: made})
    return made


def run(**options: Any) -> list[jobs.JobHandle]:
    return testing.run_jobs("hueys", **options)


def test_result_is_there_when_the_job_has_run_and_stays(queue: Queue) -> None:
    """test_workflow, test_result_store, test_result_timeout; Huey hands a result out once."""

    @queue.task()
    def add(a: int, b: int) -> int:
        return a + b

    result = add(1, b=2)
    assert result() is None
    with pytest.raises(ResultTimeout):
        result.get(blocking=True, timeout=0)
    run()
    assert (result(), result.get(blocking=True)) == (3, 3)
    assert Template("{{ result.state }}").render(Context({"result": result})) == "completed"


def test_schedule_takes_a_delay_a_time_or_either_in_the_place_of_the_arguments(queue: Queue) -> None:
    """test_scheduling, test_schedule_s"""

    @queue.task()
    def note(word: str = "") -> str:
        return word

    tomorrow = clock.now() + timedelta(days=1)
    delayed = [note.schedule(("a",), delay=60), note.schedule(60), note.schedule(timedelta(minutes=1))]
    timed = [note.schedule(("a",), {}, tomorrow), note.schedule(tomorrow)]
    assert {round((one.job.ready_at - clock.now()).total_seconds() / 60) for one in delayed} == {1}
    assert {one.job.ready_at for one in timed} == {tomorrow}
    assert run() == []
    for wrong in (lambda: note.schedule(), lambda: note.schedule(("a",)), lambda: note.schedule(1, eta=tomorrow)):
        with pytest.raises((InvalidOption, TypeError)):
            wrong()


def test_an_expired_job_does_not_run(queue: Queue) -> None:
    """test_expires, test_scheduling_expires"""

    @queue.task(expires=0.001)
    def note() -> None: ...

    expired, kept = note(), note.using(expires=60).enqueue()
    while clock.now() <= expired.job.expires_at:
        pass
    assert run() == [kept]
    with pytest.raises(InvalidOption, match=r"expires=0\.001 s is not later than delay=1 s"):
        note.schedule(1)
    with pytest.raises(InvalidOption, match="expires=0"):
        queue.task(name="never", expires=0)(lambda: None)


def test_a_job_is_put_off_and_stays_the_same_job(queue: Queue) -> None:
    """test_reschedule, test_reschedule_priority; Huey revokes the job and enqueues another one."""

    @queue.task()
    def note() -> str:
        return "ran"

    result = note.schedule(60)
    result.reschedule(delay=0)
    assert [one.id for one in run()] == [result.id]
    assert result() == "ran"


def test_a_task_of_which_no_job_is_to_run_is_cancelled_and_its_queue_paused(queue: Queue) -> None:
    """test_revoke_task, test_revoke_task_instance, test_revoke_until: what stands here in the place of revoke."""

    @queue.task()
    def note() -> None: ...

    first, second, third = note(), note(), note()
    first.cancel()
    jobs.pause(queue.name)
    assert run() == []
    jobs.resume(queue.name)
    assert run() == [second, third]
    assert first.state == "cancelled"
    for refused in (note.revoke, note.restore, note.is_revoked, first.revoke, first.restore):
        with pytest.raises(NotSupported, match=r"cancel|enqueue a new one"):
            refused()


def test_retry_task_is_retried_at_its_time_which_without_a_zone_is_local(queue: Queue, settings: Any) -> None:
    """test_retrytask_explicit, test_retrytask_eta_delay"""
    settings.TIME_ZONE = "America/Sao_Paulo"
    tomorrow = (timezone.localtime() + timedelta(days=1)).replace(microsecond=0)

    @queue.task(attempts=1)
    def later() -> str:
        if current_job().starts > 2:
            return "done"
        raise RetryTask(delay=0) if current_job().starts == 1 else RetryTask(eta=tomorrow.replace(tzinfo=None))

    result = later()
    assert len(run()) == 2
    assert abs(result.job.ready_at - tomorrow) < timedelta(seconds=1)
    run(include_scheduled=True)
    assert result() == "done"


@pytest.mark.parametrize(
    ("retry", "starts", "state"), [(None, 1, "cancelled"), (False, 1, "cancelled"), (True, 2, "failed")]
)
def test_cancel_execution_ends_the_job_unless_it_asks_for_a_retry(
    queue: Queue, retry: bool | None, starts: int, state: str
) -> None:
    """test_cancel_execution; with attempts left, Huey retries where `retry` is not given."""

    @queue.task()
    def cancels() -> None:
        raise CancelExecution(retry=retry)

    result = cancels()
    assert len(run()) == starts
    assert result.state == state
    with pytest.raises(JobFailed):
        result()


def test_context_task_runs_within_its_context_and_may_be_given_it(queue: Queue) -> None:
    """test_context_task"""
    seen: list[str] = []

    class Store:
        def __enter__(self) -> str:
            seen.append("open")
            return "store"

        def __exit__(self, *error: object) -> None:
            seen.append("close")

    @queue.context_task(Store())
    def plus(n: int) -> int:
        return n + 1

    @queue.context_task(Store(), as_argument=True, attempts=1)
    def told(store: str, n: int) -> str:
        return f"{store} {n / (n - 1)}"

    results = plus(2), told(n=2), told(1)
    run()
    assert [results[0](), results[1](), results[2].state] == [3, "store 2.0", "failed"]
    assert seen == ["open", "close"] * 3


def test_a_task_with_context_knows_itself_and_its_time(queue: Queue) -> None:
    """test_timeout_coop_helpers"""

    @queue.task(context=True, timeout=60)
    def knows(n: int, task: Any = None) -> list[Any]:
        task.check_timeout()
        return [task.id, 50 < task.time_remaining <= 60]

    result = knows(1)
    run()
    assert result() == [str(result.id), True]


def test_a_task_that_is_taken_out_is_known_no_more(queue: Queue) -> None:
    """test_dynamic_periodic_tasks, and TaskWrapper.unregister"""

    def report() -> None: ...

    made = queue.periodic_task(crontab("*/5"), name="report", aliases=("old_report",))(report)
    assert [name for name, _task, _due in queue.periodic_tasks] == ["report"]
    assert made.unregister()
    assert (queue.periodic_tasks, queue.find_task("report"), queue.find_task("old_report")) == ([], None, None)
    assert not made.unregister()
    assert queue.task(name="report")(report).name == "report"


def test_hooks_see_the_task_its_value_and_its_error_and_their_own_errors_harm_nobody(queue: Queue) -> None:
    """test_task_hooks, test_hook_unregister, test_task_hook_errors"""
    seen: list[Any] = []

    @queue.task(attempts=1)
    def half(n: int) -> float:
        return 1 / n

    @queue.pre_execute()
    def before(task: Any) -> None:
        seen.append(("before", task.args))
        if task.args == (7,):
            raise CancelExecution

    @queue.pre_execute("broken")
    def broken(task: Any) -> None:
        raise ValueError

    @queue.post_execute()
    def after(task: Any, value: Any, error: Any) -> None:
        seen.append(("after", value, repr(error)))

    results = half(2), half(0), half(7)
    run()
    assert seen == [
        ("before", (2,)),
        ("after", 0.5, "None"),
        ("before", (0,)),
        ("after", None, "ZeroDivisionError('division by zero')"),
        ("before", (7,)),
    ]
    assert [one.state for one in results] == ["completed", "failed", "cancelled"]
    assert queue.unregister_pre_execute("before")
    assert queue.unregister_post_execute(after)
    assert not queue.unregister_post_execute(after)


@contextmanager
def told(queue: Queue) -> Iterator[list[str]]:
    seen: list[str] = []

    @queue.signal()
    def hear(signal: str, task: Any, *error: Any) -> None:
        seen.append(signal)

    yield seen
    queue.disconnect_signal(hear)
    assert not any(queue._signal.receivers.values())


def test_signals_of_success_failure_and_retry(queue: Queue) -> None:
    """test_signals_simple, test_signals_on_retry, test_specific_handler"""
    errors: list[str] = []

    @queue.task()
    def half(n: int) -> float:
        return 1 / n

    @queue.task()
    def again() -> None:
        if current_job().starts == 1:
            raise RetryTask

    @queue.signal(signals.SIGNAL_ERROR)
    def on_error(signal: str, task: Any, error: Exception) -> None:
        errors.append(f"{task.args} {error}")

    with_retry = ["executing", "error", "retrying", "executing", "error"]
    for call, expected in ((lambda: half(2), ["executing", "complete"]), (lambda: half(0), with_retry)):
        call()
        queue.disconnect_signal(on_error)
        with told(queue) as seen:
            queue.signal(signals.SIGNAL_ERROR)(on_error)
            run()
            assert seen == expected
            queue.disconnect_signal(on_error, signals.SIGNAL_ERROR)
    assert errors == ["(0,) ZeroDivisionError: division by zero"] * 2
    again()
    with told(queue) as seen:
        run()
    assert seen == ["executing", "retrying", "executing", "complete"]


def test_every_signal_of_huey_is_sent_or_refused(queue: Queue) -> None:
    hueys = {value for name, value in vars(signals).items() if name.startswith("SIGNAL_")}
    assert huey_interface.SIGNALS_SENT | set(huey_interface.SIGNALS_REFUSED) == hueys
    for name, remedy in huey_interface.SIGNALS_REFUSED.items():
        with pytest.raises(NotSupported) as refused:
            queue.signal(signals.SIGNAL_COMPLETE, name)
        assert remedy in str(refused.value)
    with pytest.raises(InvalidOption, match="expected one of canceled"):
        queue.signal("done")
    assert not any(queue._signal.receivers.values())


def test_immediate_is_refused_and_the_test_helper_runs_jobs_at_once(queue: Queue) -> None:
    """test_immediate"""

    @queue.task()
    def add(a: int, b: int) -> int:
        return a + b

    with pytest.raises(NotSupported, match=r"jobs\.testing"):
        queue.immediate = True
    with testing.inline():
        assert add(1, 2)() == 3
        assert queue.enqueue(add.s(1, 2).then(add, 3))() == [3, 6]
