"""Isolated tasks: what a declaration says, and what passes between a worker and its runners."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from datetime import timedelta
from typing import Any

import pytest

from jobs import Fixed, Queue, clock, current_job
from jobs.broker.records import ClaimedJob, Completed, Failed, GivenUp, HandedBack, Postponed, Retried, Settlement
from jobs.defined import find_queue
from jobs.errors import InvalidTask, OutOfTime
from jobs.history.connections import connections_of
from jobs.policy import AS_THE_CODE_SAYS
from jobs.supervise import start
from jobs.supervise.start import CannotStart, plan
from jobs.testing import run_jobs
from jobs.work import stacks, trees
from jobs.work.execution import broken_off
from jobs.work.frames import Ended
from jobs.work.isolated import Runner
from jobs.work.runners import Runners
from tests.faults.harness import wait_for

lane = Queue("isolated_lane", attempts=2, backoff=Fixed(7))


@lane.task(name="isolated.where", isolated=True, timeout=30, memory=300)
def where(number: int) -> list[int]:
    return [os.getpid(), number, current_job().attempt]


def claimed(task: str = "isolated.where", message: str = "{}") -> ClaimedJob:
    now = clock.now()
    return ClaimedJob(clock.new_id(), 1, lane.name, task, message, 0, "1", 0, 0, 0, now, now)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"isolated": True}, "isolated=True without timeout=: say after how many seconds"),
        ({"isolated": True, "timeout": 5, "atomic": True}, "isolated=True and atomic=True"),
        ({"isolated": 1, "timeout": 5}, "isolated=1: expected True or False"),
        ({"memory": 100}, "memory=100 without isolated=True"),
        ({"isolated": True, "timeout": 5, "memory": 0}, "memory=0: expected a whole number of MiB from 1 to 1,048,576"),
        ({"isolated": True, "timeout": 5, "memory": 1.5}, "memory=1.5: expected a whole number"),
    ],
)
def test_what_cannot_be_isolated_is_refused_where_it_is_written(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidTask, match=told):
        Queue("other_isolated_lane").task(name="isolated.other", **options)(lambda: None)


def test_the_queue_s_timeout_is_enough() -> None:
    task = Queue("timed_lane", timeout=9).task(name="isolated.timed", isolated=True)(lambda: None)
    assert task.isolation is not None
    assert (task.isolation.timeout, task.isolation.memory) == (9, None)


@pytest.mark.django_db(transaction=True)
def test_in_tests_it_runs_in_the_test_s_own_process() -> None:
    handle = where.enqueue(7)
    run_jobs()
    assert handle.result(timeout=0) == [os.getpid(), 7, 1]
    assert where.call(8) == [os.getpid(), 8, 1]


def test_a_memory_limit_is_refused_where_nobody_tells_how_large_a_process_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan([lane.name], [], [])
    monkeypatch.setattr(start, "own_memory", lambda: None)
    with pytest.raises(CannotStart, match=r"task isolated\.where has memory=300, and this system does not tell"):
        plan([lane.name], [], [])


def test_the_connections_of_runners_are_counted() -> None:
    without = connections_of("email", 4, AS_THE_CODE_SAYS)
    task = find_queue("email").task(name="isolated.mail", isolated=True, timeout=1)(lambda: None)
    try:
        assert connections_of("email", 4, AS_THE_CODE_SAYS) == without + 2 * (4 + 1)
    finally:
        task.unregister()


@pytest.mark.parametrize(
    "outcome",
    [
        Completed('"é"'),
        Retried(1.5, "OSError: x", "trace"),
        Postponed(2.0, "later", whole_queue=True),
        HandedBack("stops", delay=None, unknown=True),
        Failed("for good", attempted=False, release="r1"),
        GivenUp("asked"),
    ],
    ids=lambda outcome: type(outcome).__name__,
)
def test_whatever_comes_of_a_job_arrives_as_it_was(outcome: Any) -> None:
    now, job = clock.now(), claimed()
    said = Settlement(job, outcome, now, now + timedelta(seconds=1))
    assert Ended.by(said).settlement(job) == said


def test_a_broken_job_is_retried_by_its_policy_with_the_place_in_its_traceback() -> None:
    job, error = claimed(message='{"number":1}'), OutOfTime("killed after 30 s, its timeout")
    settlement = broken_off(job, lane, clock.new_id(), where, error, "the place", job.claimed_monotonic + 1)
    assert isinstance(settlement.outcome, Retried)
    assert (settlement.outcome.delay, settlement.outcome.error) == (7, "OutOfTime: killed after 30 s, its timeout")
    assert settlement.outcome.traceback.startswith("the place\n")
    assert settlement.started_at == job.claimed_at + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["/nowhere/python"], "No such file"),
        ([sys.executable, "-c", "raise SystemExit(78)"], "ended with exit code 78"),
    ],
)
def test_a_job_goes_back_unharmed_where_no_runner_starts(command: list[str], told: str) -> None:
    runners = Runners(lane, clock.new_id(), command)
    runners.start()
    try:
        settlement = runners.execute(claimed(), where)
    finally:
        runners.close()
    assert isinstance(settlement.outcome, HandedBack)
    assert settlement.outcome.trouble
    assert told in settlement.outcome.reason
    assert settlement.started_at is None
    assert not runners.is_alive()


def test_a_stopped_worker_begins_no_isolated_job() -> None:
    runners = Runners(lane, clock.new_id(), ["/nowhere/python"])
    runners.start()
    runners.close()
    assert isinstance(runners.execute(claimed(), where).outcome, HandedBack)


HANG = """
import faulthandler, re, sys, threading
faulthandler.register(int(sys.argv[2]), int(sys.argv[1]))
faulthandler.enable(int(sys.argv[1]))
def wait(event):
    event.wait()
threading.Thread(target=wait, args=[threading.Event()], daemon=True).start()
namespace = {}
code = "def call(function):\\n    function()\\n"
exec(compile(code, "/site/jobs/work/forks.py", "exec"), namespace)
def catastrophe():
    print("ready", flush=True)
    if sys.argv[3] == "crash":
        import ctypes
        ctypes.string_at(0)
    re.match(r"(a+)+$", "a" * 60 + "b")
namespace["call"](catastrophe)
"""


@pytest.mark.parametrize("way", ["hang", "crash"])
def test_the_place_is_told_of_a_process_that_holds_its_interpreter_or_has_crashed(way: str) -> None:
    with tempfile.TemporaryFile() as file:
        process = subprocess.Popen(
            [sys.executable, "-c", HANG, str(file.fileno()), str(stacks.STACK_SIGNAL), way],
            pass_fds=[file.fileno()],
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            if way == "crash":
                process.wait(60)
                trace = stacks.written(file.fileno())
            else:
                # it may not have begun to match yet
                trace = wait_for(lambda: _within(stacks.asked_for(process.pid, file.fileno()), "catastrophe"))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    first, *lines = trace.splitlines()
    assert first == "Traceback (most recent call last):"
    # without the engine's own way to it; and of a thread of the task's own nothing that would hide it
    assert not any("forks.py" in line or "<module>" in line for line in lines)
    assert any(line.endswith(", in catastrophe") for line in lines)


def _within(text: str, word: str) -> str:
    return text if word in text else ""


def test_a_process_is_measured_and_ended_with_all_below_it() -> None:
    mark = "TREES_MARK=here"
    name, value = mark.split("=")
    # one below it, one that left its session, and one that has lost its parent
    script = "sleep 987 & setsid sleep 987 & (setsid sleep 987 &) ; echo ready; wait"
    process = subprocess.Popen(
        ["sh", "-c", script], process_group=0, env={**os.environ, name: value}, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    wait_for(lambda: len(trees._marked(mark.encode())) == 4)
    all_of_it = trees._marked(mark.encode())
    assert len(trees.descendants_of(process.pid)) == 2
    assert trees.memory_with_all(process.pid) > (trees.memory_of(process.pid) or 0) > 0
    trees.end_with_all(process, mark.encode())
    assert all(map(trees.is_dead, all_of_it))
    assert process.returncode == -9
    # again, when its number may be another's
    trees.end_with_all(process, mark.encode())
    process.stdout.close()


def test_a_thread_that_waits_for_a_runner_hears_that_none_comes() -> None:
    runners = Runners(lane, clock.new_id(), ["/nowhere/python"])
    ended: list[Settlement] = []
    threads = [threading.Thread(target=lambda: ended.append(runners.execute(claimed(), where))) for _ in range(5)]
    for thread in threads:
        thread.start()
    runners.start()
    for thread in threads:
        thread.join(60)
    runners.close()
    assert [type(one.outcome) for one in ended] == [HandedBack] * 5


def lean_runners() -> Runners:
    runners = Runners(lane, clock.new_id(), [sys.executable, "-m", "tests.work.lean_runner"])
    runners.start()
    return runners


def pids(runners: Runners, messages: list[str]) -> list[str | None]:
    """Which processes have run these, one after the other."""
    outcomes = [runners.execute(claimed(message=message), where).outcome for message in messages]
    return [outcome.result for outcome in outcomes if isinstance(outcome, Completed)]


def test_a_runner_is_kept_until_its_jobs_have_left_too_much() -> None:
    runners = lean_runners()
    try:
        small, large, fresh, full_of_dead, last = pids(runners, ["{}", '{"keep":100}', "{}", '{"leave":30}', "{}"])
        kept = runners._idle[-1]
        assert kept.is_worn(1)
        assert not kept.is_worn(100_000)
    finally:
        runners.close()
    assert small == large
    assert fresh == full_of_dead
    assert len({small, fresh, last}) == 3
    assert all(trees.is_dead(int(pid or 0)) for pid in (small, fresh, last))


def test_each_slot_has_a_runner_and_there_is_a_spare() -> None:
    runners = lean_runners()
    ended: list[str | None] = []
    threads = [threading.Thread(target=lambda: ended.extend(pids(runners, ["{}"] * 5))) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(ended) == 15
        wait_for(lambda: len(runners._idle) > len(set(ended)) or len(runners._idle) == 4)
        assert len(runners._idle) <= 4
        left = [runner._process.pid for runner in runners._idle]
    finally:
        runners.close()
    assert all(map(trees.is_dead, left))


def test_with_fewer_slots_there_are_fewer_runners() -> None:
    runners = lean_runners()
    assert where.isolation is not None
    try:
        runners.keep_to(3)
        taken = [runner for _ in range(3) if isinstance(runner := runners._take(where.isolation), Runner)]
        wait_for(lambda: len(runners._idle) == 1)
        all_of_them = [runner._process.pid for runner in (*taken, *runners._idle)]
        runners.keep_to(1)
        for runner in taken:
            runners._give_back(runner, is_well=True)
        # that of the slot, which has worked before, and the spare
        wait_for(lambda: sum(not trees.is_dead(pid) for pid in all_of_them) == 2)
        assert list(runners._idle) == taken[1:]
        runners.keep_to(3)
        assert pids(runners, ["{}"]) == [str(taken[2]._process.pid)]
    finally:
        runners.close()
    assert all(map(trees.is_dead, all_of_them))
