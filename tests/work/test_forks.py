"""What a task does with processes has the outcome that it has in any program, and the worker goes on.

One `run_huey` a vendor plays all cases, some of them at the same time; each test reads what one of them answered.
"""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.databases import postgresql_server
from tests.faults.app.dispositions import dispositions
from tests.faults.harness import Huey, PostgresqlSite, Site, wait_for

pytestmark = pytest.mark.slow

TERM, HUP, USR1, ALRM = (-number for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGALRM))


def _dispositions() -> list[int]:
    """A shell lets its background jobs ignore SIGINT and SIGQUIT; a worker has a handler for SIGINT in any case."""
    blocked, ignored, caught = dispositions()
    return [blocked, ignored & ~(1 << (signal.SIGINT - 1)), caught]


#: What each case answers, as a plain program would.
ANSWERS: dict[str, Any] = {
    "child_leaves_by_os_exit": 3,
    "child_returns": 0,
    "child_exits_with_a_number": 4,
    "child_exits_with_a_text": 1,
    "child_exits_with_nothing": 0,
    "child_raises": 1,
    "child_is_interrupted": -signal.SIGINT,
    "child_becomes_another_program": 5,
    "child_has_a_child_that_returns": 20,
    "child_ends_with_its_thread": 0,
    "child_is_ended_by_its_thread": 6,
    "threads_of_the_child_are_waited_for": 1,
    "signals_end_children": [TERM, HUP, USR1, ALRM],
    "dispositions_of_a_program": _dispositions(),
    "worker_s_pipes_in_a_forked_child": [],
    "worker_s_pipes_in_a_program": [],
    "pool_maps": [1, 2, 3],
    "pool_is_left_early": [],
    "pool_is_closed": [1, 2],
    "pool_is_terminated": 0,
    "process_is_terminated": TERM,
    "process_exits": 9,
    "process_raises": 1,
    "executor_maps": [1, 2, 3],
    "spawned_pool_maps": [1, 2],
    "forkserver_maps": [1, 2],
    "program_answers": ["out\n", 3],
    "program_with_preexec_answers": 3,
}

#: The same, played one by one: SQLite in a forked child believes for ever in the locks that other threads held, and
#: os.system lets the whole process ignore signals for a while.
ANSWERS_ONE_BY_ONE: dict[str, Any] = {
    "dispositions_of_a_shell": TERM,
    "child_and_parent_use_the_database": [1, 0, 0, 0, 1],
    "child_is_forked_inside_a_transaction": [[0, 0], 1, 1, True],
    "child_leaves_a_transaction": [[12, 12], 1, 1],
    "child_is_forked_beside_a_transaction": [[0, 0, 0], [1]],
    "child_enqueues": 0,
    "child_asks_about_its_job": 0,
    "atomic_return": 0,
    "atomic_exit": 3,
    "atomic_raise": 1,
}


class Play:
    """All cases, played once."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.huey: Huey = site.run_huey("--queue", "work")
        calls = [f"play.enqueue({case!r})" for case in ANSWERS]
        self.jobs = dict(zip(ANSWERS, site.enqueue(f"[{', '.join(calls)}]"), strict=True))
        self.wait()
        console = site.console()
        for case in ANSWERS_ONE_BY_ONE:
            kind, _, way = case.partition("_")
            call = f"fork_and_count.enqueue({way!r})" if kind == "atomic" else f"play.enqueue({case!r})"
            self.jobs[case] = console.ask(call)
            self.wait()

    def wait(self) -> None:
        # not the tick of each minute, whose queue nobody works on
        waiting = "SELECT id FROM jobs_job WHERE queue = 'work' AND state IN ('queued', 'active')"
        with contextlib.suppress(AssertionError):  # each test tells of its own case
            wait_for(lambda: not self.site.rows(waiting))

    def row(self, case: str) -> dict[str, Any]:
        names = ("state", "starts", "lost", "error", "result")
        found = self.site.rows(f"SELECT {', '.join(names)} FROM jobs_job WHERE id = ?", self.jobs[case])
        return dict(zip(names, found[0], strict=True))

    def answer(self, case: str) -> Any:
        row = self.row(case)
        asked = "SELECT number, outcome, worker, error FROM jobs_attempt WHERE job_id = ? ORDER BY id"
        told = (row, self.site.rows(asked, self.jobs[case]), self.huey.log)
        assert (row["state"], row["starts"], row["lost"], row["error"]) == ("completed", 1, 0, ""), told
        return json.loads(row["result"]) if isinstance(row["result"], str) else row["result"]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    folder = tmp_path_factory.mktemp("forks")
    if request.param == "sqlite":
        site = Site(folder)
    else:
        site = PostgresqlSite(folder, postgresql_server().create_database("forks"))
    done = site.manage("migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    yield Play(site)
    site.close()


@pytest.mark.parametrize("case", ANSWERS)
def test_a_task_s_processes_end_as_in_any_program(played: Play, case: str) -> None:
    assert played.answer(case) == ANSWERS[case]


@pytest.mark.parametrize("case", ANSWERS_ONE_BY_ONE)
def test_a_task_s_processes_and_the_database_do_each_other_no_harm(played: Play, case: str) -> None:
    assert played.answer(case) == ANSWERS_ONE_BY_ONE[case]


def test_the_children_of_atomic_tasks_neither_commit_nor_settle(played: Play) -> None:
    assert played.site.counter() == 3


def test_the_worker_goes_on_and_no_outcome_was_told_twice(played: Play) -> None:
    assert len(played.huey.started("work/1")) == 1
    assert "settle_refused" not in played.huey.log
    assert "stopping" not in played.huey.log


def test_what_a_child_raises_is_shown_with_its_traceback(played: Play) -> None:
    assert "ValueError: raised in a forked child" in played.huey.log
    assert "this is why" in played.huey.log


def test_the_program_stops_as_if_no_task_had_forked(played: Play) -> None:
    assert played.huey.stop() == 0
