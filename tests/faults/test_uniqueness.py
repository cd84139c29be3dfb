"""Twenty processes enqueue with the same few keys while workers run: one live job a key, each told rightly."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

import pytest

from .harness import Line, Site
from .ledger import check_ledger, wait_until_ended

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True),
]
PROCESSES, CALLS = 20, 25


def test_storm_of_processes_never_makes_two_live_jobs_of_one_key(site: Site) -> None:
    site.run_huey("--queue", "work", "--processes", "work=2")
    consoles = [site.console() for _ in range(PROCESSES)]
    told: list[list[Any]] = []
    problems: list[BaseException] = []

    def ask(number: int) -> None:
        try:
            told.extend(consoles[number].ask(f"storm({number}, {CALLS})", 120))
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(PROCESSES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    wait_until_ended(site)
    runs = _runs(site)
    keys = {job: key for _mode, key, job, _created, _begin in told if job in runs}
    assert runs.keys() == keys.keys(), "a job ran that nobody was told of: that of a rollback, say"
    _check_one_at_a_time(runs, keys)
    _check_answers(site, told, runs)
    check_ledger(site, set(runs), maybe={job for _mode, _key, job, *_rest in told})
    print(f"uniqueness: {len(told)} calls, {len(runs)} jobs")


def _runs(site: Site) -> dict[str, list[tuple[float, float]]]:
    """When each job ran."""
    began: dict[str, list[Line]] = defaultdict(list)
    ended: dict[str, list[Line]] = defaultdict(list)
    for found, word in ((began, "start"), (ended, "end")):
        for line in site.ledger(word):
            found[line.job].append(line)
    assert {job: len(lines) for job, lines in began.items()} == dict.fromkeys(began, 1), "a job ran twice"
    return {job: [(began[job][0].at, ended[job][0].at)] for job in began}


def _check_one_at_a_time(runs: dict[str, list[tuple[float, float]]], keys: dict[str, str]) -> None:
    by_key: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for job, every in runs.items():
        by_key[keys[job]] += every
    for key, every in by_key.items():
        every.sort()
        overlaps = [(one, two) for one, two in zip(every, every[1:], strict=False) if two[0] < one[1]]
        assert overlaps == [], f"two jobs of {key} at once"


def _check_answers(site: Site, told: list[list[Any]], runs: dict[str, list[tuple[float, float]]]) -> None:
    new = [job for _mode, _key, job, created, _begin in told if created]
    assert len(set(new)) == len(new), "two callers were told that one job is new"
    gave_way = {job for (job,) in site.rows("SELECT id FROM jobs_job WHERE state = 'cancelled'")}
    gave_way = {str(job).replace("-", "") for job in gave_way}
    starts: dict[str, list[float]] = defaultdict(list)
    for job, key in {job: key for _mode, key, job, _created, _begin in told}.items():
        if job in runs:
            starts[key].append(runs[job][-1][0])
    for mode, key, job, created, begin in told:
        ran, gave = job in runs, job in gave_way
        if created is None:
            assert ran != gave, f"{job} of {key}, in a transaction: ran={ran}, gave way={gave}: {_row_of(site, job)}"
        else:
            assert ran or gave, f"{job} of {key} is lost: {_row_of(site, job)}"
        if created is False:
            assert job in runs, "told of a job that never was"
        if created is False and mode == "plain":
            # its end is settled a while after: all of them want the one lock
            ended = runs[job][-1][1]
            assert ended >= begin - 10, f"{job} of {key} had ended long before it was named"
            another = any(ended < start < begin - 1 for start in starts[key])
            assert not another, f"{job} of {key} was named after another of that key had started"
        if mode in ("debounce", "replace", "rerun"):
            assert max(starts[key], default=0.0) >= begin, f"a call of {key} after which nothing ran"


def _row_of(site: Site, job: str) -> object:
    columns = "id, state, reason, error, starts, attempts, rule, created_at, started_at, ended_at"
    rows = site.rows(f"SELECT {columns} FROM jobs_job")
    return [row for row in rows if str(row[0]).replace("-", "") == job]
