"""The ledger finds what it is there to find: each lie about a job that ran well is told apart from the truth."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .harness import Site
from .ledger import check_ledger

Lie = Callable[[Site, str], object]


def add_line(site: Site, line: str) -> None:
    with (site.folder / "ledger").open("a") as ledger:
        ledger.write(line + "\n")


def repeat_the_start(site: Site, *, token: int) -> None:
    job, _token, pid, at, queue = _lines(site, "start")[0]
    add_line(site, f"start {job} {token} {pid} {at} {queue}")


def lose(site: Site) -> None:
    site.write("DELETE FROM jobs_attempt")
    site.write("DELETE FROM jobs_job")


def run_again(site: Site) -> None:
    site.write("UPDATE jobs_job SET token = 2")
    repeat_the_start(site, token=2)


def drop_the_end(site: Site) -> None:
    path = site.folder / "ledger"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("end")))


def end_elsewhere(site: Site) -> None:
    path = site.folder / "ledger"
    path.write_text(re.sub(r"^(end \S+ \S+) \d+", r"\1 1", path.read_text(), flags=re.MULTILINE))


def _lines(site: Site, word: str) -> list[list[str]]:
    lines = [line.split() for line in (site.folder / "ledger").read_text().splitlines()]
    return [rest for first, *rest in lines if first == word]


LIES: dict[str, tuple[Lie, str]] = {
    "lost": (lambda site, job: lose(site), "accepted and gone"),
    "not-asked-for": (lambda site, job: site.accepted.discard(job), "never accepted"),
    "ran-and-not-known": (
        lambda site, job: add_line(site, f"start {'0' * 32} 1 1 1.0 work"),
        "never accepted, and ran",
    ),
    "twice-under-one-lease": (lambda site, job: repeat_the_start(site, token=1), "ran twice under one lease"),
    "under-no-lease": (lambda site, job: repeat_the_start(site, token=7), "under a token that no claim gave"),
    "twice-without-a-loss": (lambda site, job: run_again(site), "ran more often than the history says"),
    "loss-not-told": (lambda site, job: site.write("UPDATE jobs_job SET lost = 1"), "losses in row and history differ"),
    "start-not-told": (lambda site, job: site.write("UPDATE jobs_job SET starts = 2"), "starts in row and history"),
    "attempt-not-told": (
        lambda site, job: site.write("UPDATE jobs_job SET attempts = 2"),
        "attempts in row and history differ",
    ),
    "misnumbered": (lambda site, job: site.write("UPDATE jobs_attempt SET number = 2"), "attempts are misnumbered"),
    "completed-without-an-end": (lambda site, job: drop_the_end(site), "completed by a run that did not end"),
    "completed-elsewhere": (lambda site, job: end_elsewhere(site), "completed by another process"),
    "counted-wrongly": (lambda site, job: site.write("UPDATE jobs_taskstat SET jobs = 2"), "counters of work"),
}


@pytest.fixture(scope="module")
def _played(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Site:
    """A site on which one job ran, and all is over."""
    site = Site(tmp_path_factory.mktemp("played"), migrated)
    huey = site.run_huey("--queue", "work")
    site.enqueue("nap.enqueue()")
    check_ledger(site)
    assert huey.stop() == 0
    site.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    site.close()
    return site


@pytest.fixture
def played(_played: Site, tmp_path: Path) -> Site:
    """A copy of it."""
    copy = Site(tmp_path, _played.database)
    shutil.copy(_played.folder / "ledger", copy.folder)
    copy.accepted = set(_played.accepted)
    return copy


@pytest.mark.slow
def test_the_truth_passes(played: Site) -> None:
    check_ledger(played)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found(played: Site, lie: str) -> None:
    tell, found = LIES[lie]
    (job,) = played.accepted
    tell(played, job)
    with pytest.raises(AssertionError, match=found):
        check_ledger(played)


def test_a_job_that_never_ends_is_found(played: Site) -> None:
    played.write("UPDATE jobs_job SET state = 'queued'")
    with pytest.raises(AssertionError, match="all jobs ended"):
        check_ledger(played, limit=0.1)
