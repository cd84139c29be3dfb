"""Kills processes at random moments and holds what ran against what was accepted (G2)."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from .harness import Huey, RedisSite, Site, is_of_site, some_time, wait_for
from .ledger import check_ledger

JOBS = 500
pytestmark = pytest.mark.parametrize("make_site", ["sqlite", "postgresql", "redis"], indirect=True)


@pytest.mark.parametrize(
    ("kills", "processes", "threads", "seconds"),
    [
        pytest.param(6, 1, 10, 0.15, id="6-kills"),
        pytest.param(20, 3, 4, 1.0, id="20-kills", marks=pytest.mark.slow),
    ],
)
def test_no_job_is_lost_and_none_runs_more_often_than_its_leases_were(
    site: Site, chance: random.Random, kills: int, processes: int, threads: int, seconds: float
) -> None:
    words = ["--queue", "work", "--processes", f"work={processes}", "--concurrency", f"work={threads}"]
    hueys = [site.run_huey(*words), site.run_huey(*words)]
    accepted = site.enqueue(f"nap.enqueue_many([{seconds}] * {JOBS})")
    assert len(set(accepted)) == JOBS

    killed = Counter[str]()
    victims = ["keeper", "supervisor", *(f"work/{1 + number % processes}" for number in range(kills - 2))]
    chance.shuffle(victims)
    for victim in victims:
        some_time(chance, 0.7)
        order = chance.sample(hueys, 2)
        huey = wait_for(lambda victim=victim, order=order: _with_living(victim, order, site))
        if victim == "supervisor":
            huey.process.kill()
            huey.process.wait()
            hueys[hueys.index(huey)] = site.run_huey(*words, wait=False)
        else:
            os.kill(huey.child(victim), signal.SIGKILL)
        killed[victim] += 1
    wait_for(
        lambda: not _unfinished(site, alone=False), what=f"the end of all that need not run alone in {site.folder}"
    )
    # what was lost twice runs one after another, each in a process that starts for it
    suspects = _unfinished(site, alone=True)
    wait_for(lambda: site.states("work")["completed"] == JOBS, 20 + 3 * (seconds + 1) * suspects, f"{suspects} alone")

    runs = Counter(line.job for line in site.ledger())
    lost = dict(site.rows("SELECT id, lost FROM jobs_job WHERE queue = 'work'"))
    again = {job: count for job, count in runs.items() if count > 1}
    print(f"killed {dict(killed)}; {sum(lost.values())} leases lost, {len(again)} jobs ran again, {runs.total()} runs")
    assert sum(killed.values()) == kills
    assert set(runs) == set(accepted)
    assert {job: count for job, count in runs.items() if count > 1 + lost[job]} == {}
    assert site.states("work") == {"completed": JOBS}
    check_ledger(site, accepted)


def _unfinished(site: Site, *, alone: bool) -> int:
    """How many jobs wait or run, of those that have to run alone or of the others."""
    if isinstance(site, RedisSite):
        lost = [found.lost for id in site.live("work") if (found := site.broker.find("work", UUID(id)))]
        return sum((number >= 2) == alone for number in lost)
    condition = "alone" if alone else "NOT alone"
    sql = f"SELECT count(*) FROM jobs_job WHERE queue = 'work' AND state IN ('queued', 'active') AND {condition}"
    return int(site.rows(sql)[0][0])


def _with_living(victim: str, hueys: list[Huey], site: Site) -> Huey | None:
    """One of them whose child in this post is at work now: after a kill the post is empty for a while."""
    for huey in hueys:
        pids = [huey.pid] if victim == "supervisor" else huey.started(victim)
        at_work = pids and (not victim.startswith("work") or f"worker_started queue=work pid={pids[-1]} " in huey.log)
        if at_work and is_of_site(pids[-1], site):
            return huey
    return None


@pytest.mark.slow
def test_poison_job_dies_alone(site: Site) -> None:
    huey = site.run_huey("--queue", "work")
    poison, *others = site.python(
        "first = nap.enqueue_many([0.05] * 50); bad = die.enqueue(); rest = nap.enqueue_many([0.05] * 50)\n"
        "print(json.dumps([h.id.hex for h in [bad, *first, *rest]]))"
    )
    wait_for(
        lambda: site.job(poison)["state"] == "failed" and site.states("work")["completed"] == 100, 60, huey.log_path
    )

    job = site.job(poison)
    print(f"poison: {len(site.starts(poison))} starts, {job['lost']} lost, attempts {job['attempts']}")
    assert (job["lost"], job["attempts"], len(site.starts(poison))) == (5, 0, 5)
    assert {site.job(id)["state"] for id in others} == {"completed"}
    assert max(site.job(id)["lost"] for id in others) <= 2
    check_ledger(site, [poison, *others])


@pytest.mark.slow
def test_two_run_huey_on_one_database_run_no_job_twice_and_tick_once(site: Site) -> None:
    site.write(
        "INSERT INTO jobs_schedule (name, task, from_code, enabled, expression, timezone, missed, overlap, jitter, "
        "args, kwargs, fired, trouble, last_tick) VALUES ('faults.every_minute', 'faults.every_minute', true, true, "
        "'', '', 'once', 'allow', 0, '[]', '{}', 0, '', ?)",
        f"{datetime.now(UTC) - timedelta(minutes=5):%Y-%m-%d %H:%M:%S}",
    )
    first, second = site.run_huey(wait=False), site.run_huey(wait=False)
    first.wait_until_ready()
    second.wait_until_ready()
    console = site.console()
    accepted = console.ask("nap.enqueue_many([0.05] * 100 + [0.005] * 200)")

    def both_have_worked() -> bool:
        """All is done; where one of them did it alone, there is more."""
        if (done := not site.has_live_jobs()) and not (both := len({line.pid for line in site.ledger()}) >= 2):
            accepted.extend(console.ask("nap.enqueue_many([0.05] * 100)"))
        return done and both

    wait_for(both_have_worked)

    ticks = [line.split("tick=")[1].split()[0] for line in (first.log + second.log).splitlines() if " ticked " in line]
    ticked = site.rows("SELECT count(*) FROM jobs_job WHERE task = 'faults.every_minute'")[0][0]
    runs = Counter(line.job for line in site.ledger())
    assert {runs[job] for job in accepted} == {1}
    assert len(ticks) == len(set(ticks)) == ticked >= 1
    check_ledger(site, accepted)
