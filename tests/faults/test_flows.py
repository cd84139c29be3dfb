"""Kills whoever runs, keeps and supervises jobs that wait for others: each is let go once, after all it waits for."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import Callable

import pytest

from .harness import LONG, Huey, Line, RedisSite, Site, is_of_site, some_time, wait_for
from .ledger import check_ledger, number_in, wait_until_ended

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True)]
WORDS = ("--queue", "work", "--queue", "paced", "--queue", "other")
VARIABLES = {"FAULTS_RESTART_PAUSE": "0.05", "FAULTS_PACE": "200"}
Edges = dict[str, list[str]]


@pytest.mark.parametrize(
    ("chains", "fans", "kills"),
    [pytest.param(30, 5, 7, id="7-kills"), pytest.param(100, 20, 25, id="25-kills", marks=LONG)],
)
def test_who_waits_is_let_go_once_and_in_order_whoever_is_killed(
    site: Site, chance: random.Random, chains: int, fans: int, kills: int
) -> None:
    console = site.console()
    edges = _edges(console.ask(f"enqueue_flows({chains}, {fans})"))
    _work_and_die(
        site, chance, kills, lambda: edges.update(_edges(console.ask(f"enqueue_flows({1 + chains // kills}, 1)")))
    )
    _check_flows(site, edges)


@pytest.mark.parametrize(
    "kills", [pytest.param(7, id="7-kills", marks=pytest.mark.slow), pytest.param(25, id="25-kills", marks=LONG)]
)
def test_batch_ends_once_with_exact_counts_whoever_is_killed(site: Site, chance: random.Random, kills: int) -> None:
    console = site.console()
    rows, ids = 24, console.ask("enqueue_batches(3, 24)")
    _work_and_die(site, chance, kills, lambda: ids.extend(console.ask("enqueue_batches(1, 24)")))
    wait_until_ended(site)
    wait_for(lambda: _is_over(site), what=f"the end of the queue that keeps little in {site.folder}")
    batches = console.ask(f"batches_as_they_are({ids})")
    # each `grow` added its two once, however often it was begun
    total = rows + 2 * rows // 6
    counts = {"total": total, "waiting": 0, "active": 0, "completed": total, "failed": 0, "cancelled": 0, "expired": 0}
    assert [(one["ended"], one["counts"]) for one in batches] == [(True, counts)] * len(ids)
    assert {tuple(sorted(one["follow"])) for one in batches} == {("complete", "failure", "success")}
    began = _by_job(site.ledger("start"))
    follow = [one["follow"] for one in batches]
    assert [one["failure"] for one in follow if one["failure"] in began] == []
    for one, batch in zip(follow, batches, strict=True):
        last = max(max(line.at for line in began[job]) for job in batch["jobs"])
        assert all(began[one[role]][0].at > last for role in ("complete", "success"))
    queues = {line.job: line.queue for line in site.ledger()}
    jobs = {job for batch in batches for job in (*batch["jobs"], *batch["follow"].values())}
    check_ledger(site, {job for job in jobs if queues.get(job) != "other"})
    print(f"batches: {len(ids)} of {total} jobs, {sum(map(len, began.values()))} runs")


def _work_and_die(site: Site, chance: random.Random, kills: int, enqueue: Callable[[], object]) -> None:
    """Let a site work, kill whoever is at work, and enqueue more before each kill."""
    huey = site.run_huey(*WORDS, **VARIABLES)
    victims = ["supervisor", "keeper", "keeper", *chance.choices(["work/1", "paced/1", "other/1"], k=kills - 3)]
    chance.shuffle(victims)
    for victim in victims:
        enqueue()
        some_time(chance)
        huey = _kill(victim, huey, site)


#: Who is killed where: before and after what lets a waiting job go.
AT_THE_WORKER = [("worker", "unblock.before_commit"), ("worker", "settle.after_commit")]
AT_THE_KEEPER = [
    ("keeper", point)
    for point in (
        *("merge.before_commit", "merge.after_commit", "unblock.before_commit"),
        *("unblock.after_commit", "push.after_commit"),
    )
]


def test_whoever_is_killed_at_a_link_leaves_it_to_the_next(site: Site) -> None:
    """Where the end and what follows from it are two transactions, nobody but the keeper finds what is left of it."""
    site.arm()
    console = site.console()
    site.run_huey("--queue", "work", **VARIABLES)
    edges: Edges = {}
    for role, point in AT_THE_KEEPER if site.on_redis else AT_THE_WORKER:
        # no other job, whose end would tell of this one too
        wait_until_ended(site)
        site.set_trap(role, point)
        first, last = console.ask("chain(nap.bind(), nap.bind()).enqueue()")
        edges |= {first: [], last: [first]}
        wait_for(lambda role=role, point=point: site.is_sprung(role, point), what=f"the {role} passed {point}")
        wait_for(lambda last=last: site.job(last)["state"] == "completed", what=f"what waited at {point}")
    _check_flows(site, edges)


def test_sequence_keeps_its_order_whoever_is_killed(site: Site, chance: random.Random) -> None:
    console = site.console()
    edges = _edges(console.ask("enqueue_sequences(6, 10)"))
    _work_and_die(site, chance, 6, lambda: edges.update(_edges(console.ask("enqueue_sequences(1, 8)"))))
    _check_flows(site, edges)


def _edges(answer: list[tuple[str, list[str]]]) -> Edges:
    return dict(answer)


def _kill(victim: str, huey: Huey, site: Site) -> Huey:
    """Kill one that is at work; returns the `run_huey` that is there now."""
    if victim == "supervisor":
        huey.process.kill()
        huey.process.wait()
        return site.run_huey(*WORDS, **VARIABLES)
    wait_for(lambda: (pids := huey.started(victim)) and is_of_site(pids[-1], site), what=f"{victim} at work")
    os.kill(huey.child(victim), signal.SIGKILL)
    return huey


def _check_flows(site: Site, edges: Edges) -> None:
    """Fail unless every job ran, none that waits began before the ends that it waits for, and none was let go twice."""
    wait_until_ended(site)
    if any(line.queue == "other" for line in site.ledger()):
        # elsewhere nobody works it, and its ticks wait
        wait_for(lambda: _is_over(site), what=f"the end of the queue that keeps little in {site.folder}")
    queues = {line.job: line.queue for line in site.ledger()}
    assert set(edges) == {job for job in queues if job in edges}, "not every job ran"
    check_ledger(site, {job for job in edges if queues[job] != "other"})

    began, ended = _by_job(site.ledger("start")), _by_job(site.ledger("end"))
    early = [
        f"{waiting} began before {awaited} had ended"
        for waiting, every in edges.items()
        for awaited in every
        if min(line.at for line in began[waiting]) < max(ended[awaited], key=lambda line: number_in(line.token)).at
    ]
    assert early == []
    rows = site.rows("SELECT state, run, count(*) FROM jobs_job WHERE queue <> 'other' GROUP BY state, run")
    kept = sum(queues[job] != "other" for job in edges)
    assert rows == [("completed", 1, kept)]
    assert site.rows("SELECT state, count(*) FROM jobs_edge WHERE state <> 'completed' GROUP BY state") == []
    lost = dict(site.rows("SELECT queue, sum(jobs) FROM jobs_taskstat WHERE outcome = 'lost' GROUP BY queue"))
    runs = Counter(queues[job] for job in edges for _line in began[job])
    jobs = Counter(queues[job] for job in edges)
    print(f"flows: {len(edges)} jobs, {runs.total()} runs, lost {lost}")
    # more precisely for those that have a row: see `check_ledger`
    assert {queue: runs[queue] for queue in jobs if runs[queue] > jobs[queue] + int(lost.get(queue) or 0)} == {}


def _is_over(site: Site) -> bool:
    """Whether nothing lives on the queue of which `has_live_jobs` says nothing."""
    if isinstance(site, RedisSite) and site.live("other"):
        return False
    return not site.rows("SELECT 1 FROM jobs_job WHERE state IN ('blocked', 'pending', 'queued', 'active') LIMIT 1")


def _by_job(lines: list[Line]) -> dict[str, list[Line]]:
    found = defaultdict(list)
    for line in lines:
        found[line.job].append(line)
    return found
