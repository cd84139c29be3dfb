"""SIGHUP: the children are replaced one by one, and no queue is without a worker in between."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.faults.harness import NET, ROOT, Huey, Site, wait_for

pytestmark = pytest.mark.slow

MakeSite = Callable[..., Site]
POSTS = ("work/1", "paced/1", "other/1", "keeper")


def line_of(huey: Huey, text: str) -> int:
    """Where the text stands in the log."""
    found = [number for number, line in enumerate(huey.log.splitlines()) if text in line]
    assert found, f"{text!r} is not in the log"
    return found[0]


def moment_of(huey: Huey, text: str) -> datetime:
    """When the line with the text was logged."""
    line = huey.log.splitlines()[line_of(huey, text)]
    return datetime.strptime(" ".join(line.split()[:2]), "%Y-%m-%d %H:%M:%S,%f")  # noqa: DTZ007 - only compared


def test_sighup_replaces_every_child_and_each_is_ready_before_the_old_one_drains(site: Site) -> None:
    huey = site.run_huey()
    long = site.enqueue("nap.enqueue(4.0)")
    wait_for(lambda: site.starts(long))
    stream = _stream(site)
    huey.process.send_signal(signal.SIGHUP)
    wait_for(lambda: " restarted" in huey.log)
    wait_for(lambda: huey.count("child_ended") == 4)

    assert [len(huey.started(post)) for post in POSTS] == [2, 2, 2, 2]
    started = [line_of(huey, f"child_started {post} pid={huey.child(post)}") for post in POSTS]
    assert started == sorted(started)
    for number, post in enumerate(POSTS[:3]):
        old, new = huey.started(post)
        ready = line_of(huey, f"worker_started queue={post.partition('/')[0]} pid={new}")
        assert ready < line_of(huey, f"worker_stopped queue={post.partition('/')[0]} pid={old}")
        assert ready < started[number + 1], "one by one"
    wait_for(lambda: site.states("work")["completed"] == 101)
    assert len(site.starts(long)) == 1, "what ran was finished"
    gap, start_of_one = _gap(site, stream), _start_of_one(huey)
    # a busy machine makes gaps of its own: one of three restarts shows that a restart makes none
    for number in (2, 3):
        if gap < start_of_one:
            break
        stream = _stream(site)
        huey.process.send_signal(signal.SIGHUP)
        wait_for(lambda number=number: huey.count("child_ended") == 4 * number)
        wait_for(lambda number=number: site.states("work")["completed"] == 1 + 100 * number)
        gap, start_of_one = _gap(site, stream), _start_of_one(huey)
    assert gap < start_of_one, "no gap, as long as one starts"
    assert huey.stop() == 0


def _stream(site: Site) -> list[str]:
    """Jobs, due every 50 ms over a whole restart."""
    return list(site.enqueue("[nap.using(delay=number * 0.05).enqueue() for number in range(100)]"))


def _gap(site: Site, stream: list[str]) -> float:
    begun = sorted(site.starts(job)[0].at for job in stream)
    return max(after - before for before, after in zip(begun, begun[1:], strict=False))


def _start_of_one(huey: Huey) -> float:
    pid = huey.child(POSTS[0])
    started = moment_of(huey, f"child_started {POSTS[0]} pid={pid}")
    return (moment_of(huey, f"worker_started queue=work pid={pid}") - started).total_seconds()


def test_children_that_cannot_start_leave_the_old_ones_at_work(site: Site) -> None:
    huey = site.run_huey("--queue", "work", "--queue", "other")
    (site.folder / "broken").touch()
    huey.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "restart_given_up" in huey.log)
    (site.folder / "broken").unlink()
    job = site.enqueue("nap.enqueue()")
    wait_for(lambda: site.job(job)["state"] == "completed")
    assert "worker_stopped" not in huey.log

    huey.process.send_signal(signal.SIGHUP)
    wait_for(lambda: " restarted" in huey.log)
    assert [len(huey.started(post)) for post in ("work/1", "other/1", "keeper")] == [3, 2, 2]
    assert huey.stop() == 0


def test_a_second_sighup_replaces_all_once_more_and_sigterm_ends_all(site: Site) -> None:
    huey = site.run_huey("--queue", "work")
    huey.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(huey.started("work/1")) == 2)
    huey.process.send_signal(signal.SIGHUP)
    wait_for(lambda: " restarted" in huey.log)
    assert [len(huey.started(post)) for post in ("work/1", "keeper")] == [3, 2]
    huey.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(huey.started("work/1")) == 4)

    assert huey.stop() == 0
    assert huey.children() == []
    assert site.rows("SELECT count(*) FROM jobs_process") == [(0,)]


def test_a_worker_killed_while_its_successor_starts_is_succeeded_by_it(site: Site) -> None:
    huey = site.run_huey("--queue", "work")
    huey.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(huey.started("work/1")) == 2)
    os.kill(huey.started("work/1")[0], signal.SIGKILL)
    wait_for(lambda: " restarted" in huey.log)
    assert len(huey.started("work/1")) == 2
    job = site.enqueue("nap.enqueue()")
    wait_for(lambda: site.job(job)["state"] == "completed")


def test_under_nohup_sighup_stays_ignored(site: Site) -> None:
    huey = site.run_huey("--queue", "work", through=["nohup"])
    huey.process.send_signal(signal.SIGHUP)
    job = site.enqueue("nap.enqueue()")
    wait_for(lambda: site.job(job)["state"] == "completed")
    assert huey.process.poll() is None
    assert "restarting" not in huey.log
    ignored = site.enqueue("play.enqueue('ignores_sighup')")
    wait_for(lambda: site.job(ignored)["state"] == "completed")
    assert site.rows("SELECT result FROM jobs_job WHERE id = ?", ignored) == [("[true,true]",)]
    assert huey.stop() == 0


def test_on_a_terminal_a_hang_up_stops_it(site: Site) -> None:
    terminal, end = pty.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", sys.executable, "manage.py", "run_huey", "--queue", "work"],
        cwd=ROOT,
        env=site.environment,
        stdin=end,
        stdout=end,
        stderr=end,
    ) as process:
        os.close(end)
        said = b""
        until = time.monotonic() + NET
        while b"worker_started" not in said and time.monotonic() < until:
            said += os.read(terminal, 4096)
        os.close(terminal)
        try:
            assert process.wait(NET) == 0
        finally:
            process.kill()
    assert site.rows("SELECT count(*) FROM jobs_process") == [(0,)]


@pytest.mark.parametrize("words", [(), pytest.param(("--queue", "work"), marks=pytest.mark.slow)])
def test_an_idle_run_huey_ends_quickly(site: Site, words: tuple[str, ...]) -> None:
    huey = site.run_huey(*words)
    wait_for(lambda: site.rows("SELECT 1 FROM jobs_process WHERE kind = 'keeper'"))
    ended, started = [], []
    for _ in range(2):
        began = time.monotonic()
        assert huey.stop() == 0
        ended.append(time.monotonic() - began)
        began = time.monotonic()
        huey = site.run_huey(*words)
        started.append(time.monotonic() - began)
    print(f"ended {min(ended):.2f} s after SIGTERM, started in {max(started):.2f} s")
    # 0.15 s on a machine with nothing else to do, a tenth of a start; a pause that it sat out would be a second
    assert min(ended) < max(started) / 3
    assert site.manage("jobs", "status").returncode == 0
