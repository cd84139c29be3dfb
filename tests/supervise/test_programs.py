"""What tasks have started ends with their worker, before its jobs go to others (G10)."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.app.programs import WAYS, running
from tests.faults.harness import NET, Huey, Site, parent_of, wait_for

pytestmark = pytest.mark.slow

MakeSite = Callable[..., Site]
LAUNCH = "launch.enqueue({ways!r}, {mark!r}, {seconds})"


@pytest.fixture
def mark() -> Iterator[str]:
    """How many seconds the programs of this test sleep: nobody else's do."""
    mark = f"{random.SystemRandom().randrange(10**5, 10**6)}.5"
    yield mark
    for pid in running(mark):
        os.kill(pid, signal.SIGKILL)


def launch(site: Site, mark: str, seconds: float = 60.0) -> str:
    """Enqueue a job that starts programs in all ways, and wait until all run."""
    job: str = site.enqueue(LAUNCH.format(ways=list(WAYS), mark=mark, seconds=seconds))
    wait_for((site.folder / "launched").exists)
    wait_for(lambda: len(running(mark)) >= len(WAYS))
    return job


def result(site: Site, job: str) -> object:
    wait_for(lambda: site.job(job)["state"] == "completed")
    return site.rows("SELECT result FROM jobs_job WHERE id = ?", job)[0][0]


def zombies_of(pid: int) -> list[int]:
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and parent_of(int(entry.name)) == pid and state_of(int(entry.name)) == "Z"
    ]


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return ""


def test_nothing_of_a_killed_worker_runs_beside_the_second_start(site: Site, mark: str) -> None:
    huey = site.run_huey("--queue", "work")
    job = launch(site, mark)
    os.kill(huey.child("work/1"), signal.SIGKILL)

    assert result(site, job) == "[]"
    assert running(mark) == []
    assert (site.job(job)["starts"], site.job(job)["lost"]) == (2, 1)


def test_nothing_of_a_worker_cut_at_the_grace_time_runs_beside_the_second_start(make_site: MakeSite, mark: str) -> None:
    site = make_site(FAULTS_GRACE="0.5")
    first = site.run_huey("--queue", "work")
    job = launch(site, mark)
    site.run_huey("--queue", "work")

    assert first.stop() == 0
    assert running(mark) == []
    assert result(site, job) == "[]"
    assert site.job(job)["lost"] == 0


def test_what_a_finished_job_left_behind_ends_with_its_worker(make_site: MakeSite, mark: str) -> None:
    site = make_site(FAULTS_GRACE="1")  # for which Python waits for the children of `multiprocessing`
    huey = site.run_huey("--queue", "work")
    job = launch(site, mark, seconds=0)
    assert result(site, job) == "[]"
    assert len(running(mark)) >= len(WAYS), "as long as the worker lives, so do they"
    assert huey.stop() == 0
    assert running(mark) == []


@pytest.mark.parametrize("way", ["without_a_parent", "in_its_own_session"])
def test_programs_of_other_workers_live_on(site: Site, mark: str, way: str) -> None:
    huey = site.run_huey("--queue", "work", "--queue", "other")
    site.enqueue(f"launch_elsewhere.enqueue({way!r}, {mark!r})")
    wait_for(lambda: running(mark))
    os.kill(huey.child("work/1"), signal.SIGKILL)
    wait_for(lambda: len(huey.started("work/1")) == 2)
    assert len(running(mark)) == 1


def test_orphans_become_no_zombies_and_the_children_s_exit_codes_are_not_lost(site: Site) -> None:
    huey = site.run_huey("--queue", "work")
    job = site.enqueue("orphan.enqueue(50)")
    wait_for(lambda: site.job(job)["state"] == "completed")
    wait_for(lambda: huey.children() and not zombies_of(huey.pid))
    os.kill(huey.child("work/1"), signal.SIGKILL)
    wait_for(lambda: huey.count("code=-9") == 1)
    assert huey.stop() == 0


def test_as_process_1_of_a_container_it_leaves_no_zombies(make_site: MakeSite, mark: str) -> None:
    site = make_site(FAULTS_GRACE="1")
    try:
        huey = site.run_huey("--queue", "work", through=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"])
    except AssertionError as error:
        pytest.skip(f"no namespaces here: {error}")
    (init,) = huey.children()
    launch(site, mark, seconds=0)
    job = site.enqueue("orphan.enqueue(50)")
    wait_for(lambda: site.job(job)["state"] == "completed")
    wait_for(lambda: not zombies_of(init))
    os.kill(init, signal.SIGTERM)
    assert huey.process.wait(NET) == 0
    assert running(mark) == []


def test_a_worker_whose_supervisor_is_gone_ends_what_shares_its_group(site: Site, mark: str) -> None:
    huey: Huey = site.run_huey("--queue", "work")
    site.enqueue(f"launch.enqueue(['plain', 'a_server'], {mark!r}, 0)")
    wait_for(lambda: len(running(mark)) >= 1)
    worker = huey.child("work/1")
    huey.process.kill()
    huey.process.wait()
    wait_for(lambda: not Path(f"/proc/{worker}").exists())
    wait_for(lambda: not [pid for pid in running(mark) if os.getpgid(pid) == worker])
