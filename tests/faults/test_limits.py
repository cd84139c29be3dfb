"""Limits of a queue that are set while it is worked: within a second, and they stay over a restart."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from .harness import Line, Site, wait_for
from .ledger import check_ledger

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True)]

MakeSite = Callable[..., Site]


def at_once(site: Site) -> int:
    """How many jobs run now, by the ledger."""
    return len(site.ledger("start")) - len(site.ledger("end"))


def most_at_once(starts: list[Line], ends: list[Line]) -> int:
    steps = sorted([(line.at, 1) for line in starts] + [(line.at, -1) for line in ends])
    most = now = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most


def test_concurrency_of_busy_processes_changes_within_a_second_and_stays(site: Site) -> None:
    huey = site.run_huey("--queue", "work", "--concurrency", "work=2")
    console = site.console()
    jobs = console.ask("nap.enqueue_many([2.0] * 12)")
    wait_for(lambda: at_once(site) == 2)
    console.ask("__import__('jobs').set_limits('work', concurrency=6).queue")
    since = time.monotonic()
    wait_for(lambda: at_once(site) == 6, what="four more have started beside the two that run")
    print(f"after {time.monotonic() - since:.2f} s")
    assert time.monotonic() - since < 1.5  # a second, and what the test itself needs to see it

    console.ask("__import__('jobs').set_limits('work', concurrency=1).queue")
    wait_for(lambda: len(site.ledger("end")) >= 6, what="those that run end")
    wait_for(lambda: len(site.ledger("start")) == 7)
    time.sleep(0.3)
    assert len(site.ledger("start")) == 7
    assert huey.stop() == 0

    again = site.run_huey("--queue", "work", "--concurrency", "work=9")
    wait_for(lambda: len(site.ledger("start")) == 8)
    time.sleep(0.3)
    assert len(site.ledger("start")) == 8
    assert again.count("concurrency_set work/1 threads=1 instead of 9") == 1
    console.ask("__import__('jobs').reset_limits('work').queue")
    wait_for(lambda: at_once(site) >= 3, what="the command line holds again")
    check_ledger(site, jobs)


def test_a_bound_over_two_processes_that_is_lowered_is_never_passed_after_that(site: Site) -> None:
    site.run_huey("--queue", "work", "--processes", "work=2", "--concurrency", "work=5")
    console = site.console()
    jobs = console.ask("nap.enqueue_many([0.05] * 150)")
    wait_for(lambda: len(site.ledger("end")) > 20)
    console.ask("__import__('jobs').set_limits('work', global_concurrency=3).queue")
    lowered = time.time()
    check_ledger(site, jobs)
    starts, ends = site.ledger("start"), site.ledger("end")
    ended = {line.job: line.at for line in ends}
    # those that ran then have ended
    calm = max((ended[line.job] for line in starts if line.at < lowered), default=lowered)
    later = [line for line in starts if line.at > calm]
    assert len(later) > 30
    assert most_at_once(later, [line for line in ends if line.at > calm]) <= 3
