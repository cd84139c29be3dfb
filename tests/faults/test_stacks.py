"""`manage.py jobs stack ID` on whole workers: threads, the event loop, runners; and one that holds its interpreter."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .harness import Site, wait_for
from .ledger import check_ledger

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True)]


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site(FAULTS_ISOLATED="1")


def test_each_sort_of_job_is_shown_where_it_is_and_a_held_interpreter_is_told_of(site: Site) -> None:
    site.run_huey("--queue", "work", "--concurrency", "work=4")
    calls = {
        "nap.enqueue(40)": ["in nap", "select.select([], [], [], seconds)"],
        "wait_async.enqueue(40)": ["in wait_async", "await asyncio.sleep(seconds)", "in sleep"],
        "alone_nap.enqueue(40)": ["in alone_nap", "select.select([], [], [], seconds)"],
    }
    jobs = {call: site.enqueue(call) for call in calls}
    for call, job in jobs.items():
        wait_for(lambda job=job: site.starts(job), what=call)  # type: ignore[misc]
        for _time in range(2 if call.startswith("alone") else 1):  # an answer must not tell of the one before
            told = site.manage("jobs", "stack", job).stdout
            assert told.count("Traceback (most recent call last)") == 1, told
            for text in calls[call]:
                assert text in told, told
            assert "jobs/work/execution.py" not in told
    held = site.enqueue("hold_interpreter.enqueue(20)")
    wait_for(lambda: site.starts(held))
    assert "it may hold the interpreter" in site.manage("jobs", "stack", held, "--wait", "5").stdout
    check_ledger(site)
