"""Holds what the history says against what really happened, as the tasks wrote it down themselves."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from jobs.reasons import COMMITTED_BEFORE

from .harness import NET, NOT_TICKS, Line, Site, wait_for

ENDED = {"completed", "failed", "cancelled", "expired"}


EXPLAINED_BY_A_LOST_TAIL = {
    "ran under a token that no claim gave",
    "ran more often than the history says",
    "ran more often than 1 + lost",
    "completed by a run that did not end",
}


class JobRow(NamedTuple):
    id: str
    queue: str
    state: str
    token: int
    attempts: int
    starts: int
    lost: int


class AttemptRow(NamedTuple):
    job: str
    outcome: str
    number: int | None
    worker: str
    error: str


def wait_until_ended(site: Site, limit: float = NET) -> None:
    """Wait until no job lives."""
    wait_for(lambda: not site.has_live_jobs(), limit, f"all jobs ended in {site.folder}")


def check_ledger(
    site: Site,
    accepted: Collection[str] | None = None,
    *,
    maybe: Iterable[str] = (),
    limit: float = NET,
    lost_tail: tuple[float, float] | None = None,
) -> None:
    """Fail unless every accepted job ran to an end, none ran twice without a lost lease, and the history is true.

    `accepted` are the ids that `enqueue` returned and that were committed, without an argument all that the site's
    processes told of; `maybe` those of which the caller cannot know it. Says nothing of the queue `other`. Waits up to
    `limit` seconds for the last job to end. `lost_tail`: between these times the store may have forgotten what it was
    told: what began or ended then may have run again, and the history may lack such a run.
    """
    accepted = site.accepted if accepted is None else accepted
    site.is_checked = True
    wait_until_ended(site, limit)
    found = site.rows(f"SELECT {', '.join(JobRow._fields)} FROM jobs_job WHERE {NOT_TICKS}")
    jobs = {row.id: row for row in map(JobRow._make, found)}
    timelines: dict[str, list[AttemptRow]] = defaultdict(list)
    for attempt in map(
        AttemptRow._make, site.rows("SELECT job_id, outcome, number, worker, error FROM jobs_attempt ORDER BY id")
    ):
        timelines[attempt.job].append(attempt)
    started, ended = _by_job(site.ledger("start")), _by_job(site.ledger("end"))

    wrong = [f"accepted and gone: {id}" for id in accepted if id not in jobs]
    wrong += [f"never accepted, and ran: {id}" for id in started if id not in jobs]
    wrong += [f"never accepted: {id}" for id in jobs.keys() - set(accepted) - set(maybe)]
    for job in jobs.values():
        wrong += [
            f"{job.id}: {text} ({job}; {timelines[job.id]}; ran {started[job.id]})"
            for text in _faults_of(job, timelines[job.id], started[job.id], ended[job.id], lost_tail)
        ]
    wrong += _wrong_counters(site, jobs.values(), timelines)
    runs = sum(map(len, started.values()))
    print(f"ledger: {len(jobs)} jobs, {runs} runs, {sum(job.lost for job in jobs.values())} leases lost")
    assert not wrong, "\n".join([f"{len(wrong)} faults in {site.folder}", *wrong[:10]])


def number_in(token: str) -> int:
    """The number of the claim in a token; on Redis it stands behind the generation."""
    return int(token.rpartition(".")[2])


def _by_job(lines: Iterable[Line]) -> defaultdict[str, list[Line]]:
    found: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line.queue != "other":
            found[line.job].append(line)
    return found


def _faults_of(
    job: JobRow,
    timeline: list[AttemptRow],
    started: list[Line],
    ended: list[Line],
    lost_tail: tuple[float, float] | None,
) -> list[str]:
    outcomes = Counter(attempt.outcome for attempt in timeline)
    tokens = [number_in(line.token) for line in started]
    numbers = [attempt.number for attempt in timeline if attempt.number is not None]
    last = [line for line in ended if number_in(line.token) == job.token]
    last_pids = {str(line.pid) for line in last}
    committed_before = bool(timeline) and timeline[-1].error == COMMITTED_BEFORE
    if committed_before:
        # an atomic task on Redis: an earlier start did it all, maybe before its store was wiped; this one ran nothing
        last, last_pids = ended, {timeline[-1].worker.rpartition(":")[2]}
    checks = {
        "did not end": job.state in ENDED,
        "ran twice under one lease": len({line.token for line in started}) == len(started),
        "ran under a token that no claim gave": committed_before or max(tokens, default=0) <= job.token,
        "ran more often than the history says": len(started) <= len(timeline),
        "losses in row and history differ": outcomes["lost"] == job.lost,
        "starts in row and history differ": job.starts == len(timeline),
        "attempts in row and history differ": job.attempts == outcomes["completed"] + outcomes["failed"],
        "attempts are misnumbered": numbers == list(range(1, job.attempts + 1)),
    }
    if job.state == "completed":
        checks |= {
            "completed not once": outcomes["completed"] == 1 and timeline[-1].outcome == "completed",
            "completed by a run that did not end": len(last) == 1 or (committed_before and len(last) > 1),
            "completed by another process": not last or timeline[-1].worker.rpartition(":")[2] in last_pids,
        }
        if set(outcomes) <= {"completed", "lost"}:
            checks["ran more often than 1 + lost"] = len(started) <= 1 + job.lost
    wrong = [text for text, holds in checks.items() if not holds]
    if lost_tail is not None and any(lost_tail[0] <= line.at <= lost_tail[1] for line in (*started, *ended)):
        return [text for text in wrong if text not in EXPLAINED_BY_A_LOST_TAIL]
    return wrong


def _wrong_counters(site: Site, jobs: Collection[JobRow], timelines: dict[str, list[AttemptRow]]) -> list[str]:
    expected: dict[str, Counter[str]] = defaultdict(Counter)
    for job in jobs:
        outcomes = Counter(attempt.outcome for attempt in timelines[job.id])
        died_failing = job.state == "failed" and timelines[job.id][-1:] and timelines[job.id][-1].outcome == "failed"
        expected[job.queue].update(
            {job.state: 1, "lost": outcomes["lost"], "retried": outcomes["failed"] - int(bool(died_failing))}
        )
    names = ("completed", "failed", "retried", "lost", "cancelled", "expired")
    counted: defaultdict[str, dict[str, int]] = defaultdict(dict)
    sums = "SELECT queue, outcome, sum(jobs) FROM jobs_taskstat WHERE part >= 0 GROUP BY queue, outcome"
    for queue, outcome, number in site.rows(sums):
        counted[queue][outcome] = int(number)
    return [
        f"counters of {queue}: {counted.get(queue)}, the history says {dict(numbers)}"
        for queue, numbers in expected.items()
        if any(counted.get(queue, {}).get(name, 0) != numbers[name] for name in names)
    ]
