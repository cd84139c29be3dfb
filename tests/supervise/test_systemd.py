"""What systemd hears of a real `run_huey`, on a socket like systemd's."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import clock
from jobs.broker import get_broker
from jobs.broker.records import ProcessRecord
from jobs.supervise.children import Post
from jobs.supervise.supervisor import SILENCE, Supervisor
from jobs.supervise.systemd import ServiceManager
from tests.faults.harness import Huey, Site, wait_for


class Ear:
    """The service manager's end of the socket; remembers what it heard."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        while True:
            try:
                self.heard.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard

    def forget(self) -> None:
        self.listen()
        self.heard.clear()


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    ear = Ear(str(tmp_path / "notify"))
    yield ear
    ear.socket.close()


@pytest.fixture
def site(tmp_path: Path, migrated: Path) -> Iterator[Site]:
    site = Site(tmp_path, migrated, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="10000000")
    yield site
    site.close()


def start(site: Site, *words: str) -> Huey:
    return site.run_huey("--queue", "work", "--queue", "other", *words, wait=False)


@pytest.mark.slow
def test_ready_is_said_once_and_only_when_every_child_has_started(site: Site, ear: Ear) -> None:
    huey = start(site)
    wait_for(lambda: "READY=1" in ear.listen() or huey.process.poll() is not None)
    assert huey.count("worker_started") == 2
    ear.forget()
    wait_for(lambda: ear.listen().count("WATCHDOG=1") >= 2)
    assert "READY=1" not in ear.heard


@pytest.mark.slow
def test_a_worker_that_cannot_start_leaves_the_service_unready(site: Site, ear: Ear) -> None:
    huey = start(site)
    wait_for(lambda: huey.count("child_started") == 3)
    stuck = huey.child("work/1")
    os.kill(stuck, signal.SIGSTOP)
    try:
        wait_for(lambda: ear.listen().count("WATCHDOG=1") >= 2)
        assert huey.count("worker_started queue=work") == 0, "it was stopped too late: this run shows nothing"
        assert "READY=1" not in ear.heard
    finally:
        os.kill(stuck, signal.SIGCONT)
    wait_for(lambda: "READY=1" in ear.listen())


@pytest.mark.slow
def test_a_supervisor_that_hangs_gives_no_sign_of_life(site: Site, ear: Ear) -> None:
    huey = start(site)
    wait_for(lambda: "READY=1" in ear.listen() and "WATCHDOG=1" in ear.heard)
    os.kill(huey.pid, signal.SIGSTOP)
    wait_for(lambda: Path(f"/proc/{huey.pid}/stat").read_text().rpartition(") ")[2].startswith("T"))
    ear.forget()

    end = time.monotonic() + 2.5
    with pytest.raises(AssertionError, match="did not happen"):
        wait_for(lambda: ear.listen(), end - time.monotonic())
    os.kill(huey.pid, signal.SIGCONT)
    wait_for(lambda: "WATCHDOG=1" in ear.listen())


def test_stop_is_announced_with_the_time_it_may_take_and_ends_with_0(site: Site, ear: Ear) -> None:
    huey = start(site)
    wait_for(lambda: "READY=1" in ear.listen())

    assert huey.stop() == 0
    stopping = [text for text in ear.listen() if text.startswith("STOPPING=1\n")]
    assert len(stopping) == 1
    seconds = int(stopping[0].partition("EXTEND_TIMEOUT_USEC=")[2]) / 1e6
    assert seconds > 10, "the grace time of these tests"


@pytest.mark.slow
def test_children_cannot_speak_in_the_supervisors_name(site: Site, ear: Ear) -> None:
    huey = start(site)
    wait_for(lambda: "READY=1" in ear.listen())
    children = huey.children()
    assert len(children) == 3
    for pid in children:
        given = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert not [line for line in given if line.startswith((b"NOTIFY_SOCKET=", b"WATCHDOG_"))]


def test_without_systemd_nothing_is_said_and_nothing_fails() -> None:
    for environment in ({}, {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "1"}):
        manager = ServiceManager(environment)
        manager.ready()
        manager.alive()
        manager.stopping(1)
        assert environment == {}


@pytest.mark.parametrize(
    ("variables", "heard"),
    [
        ({}, []),
        ({"WATCHDOG_USEC": "1"}, ["WATCHDOG=1"]),
        ({"WATCHDOG_USEC": "1", "WATCHDOG_PID": str(os.getpid())}, ["WATCHDOG=1"]),
        ({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}, []),
    ],
)
def test_signs_of_life_are_sent_only_by_the_process_that_is_watched(
    ear: Ear, tmp_path: Path, variables: dict[str, str], heard: list[str]
) -> None:
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), **variables}).alive()
    assert ear.listen() == heard


def test_a_socket_in_the_abstract_namespace_is_reached() -> None:
    name = f"esteira-test-{os.getpid()}"
    ear = Ear(f"\0{name}")
    ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).ready()
    assert ear.listen() == ["READY=1"]
    ear.socket.close()


class Unkillable:
    """Stands for a child that is stuck in the kernel: no signal ends it, so no test can have a real one."""

    def __init__(self, silent_for: float) -> None:
        self.heard_at = clock.monotonic() - silent_for
        self.ready = True


@pytest.mark.parametrize(("silent_for", "heard"), [(SILENCE - 1, ["WATCHDOG=1"]), (SILENCE, [])])
def test_a_child_that_hangs_and_cannot_be_ended_silences_the_supervisor(
    ear: Ear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent_for: float, heard: list[str]
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    own = ProcessRecord(clock.new_id(), "supervisor", "", "host", os.getpid())
    supervisor = Supervisor([Post("keeper")], get_broker(), own, command=[], lease=10, grace=10)
    supervisor._places[0].child = Unkillable(silent_for)  # type: ignore[assignment]

    supervisor._show_life()
    assert ear.listen() == [], "nobody keeps the leases yet"
    monkeypatch.setattr(supervisor._leases, "is_alive", lambda: True)
    supervisor._show_life()
    assert ear.listen() == heard
