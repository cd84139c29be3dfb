"""Word between the processes of one machine (SQLite): who hears it, who may, and that nothing about it can do harm."""

from __future__ import annotations

import os
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.broker.database.sqlite.word import LONGEST_ADDRESS, Ear, Ears, folder_of, tell

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no such sockets")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.sqlite3"
    path.touch(0o600)
    return path


@pytest.fixture
def folder(database: Path) -> str:
    return folder_of(str(database))


@pytest.fixture
def ear(folder: str) -> Iterator[Ear]:
    listening = Ear(folder, "email")
    yield listening
    listening.close()


def sockets(folder: str) -> list[Path]:
    return sorted(Path(folder).iterdir())


def abandoned(folder: str) -> Path:
    """A socket of a process that was killed."""
    code = (
        "import os, signal, sys; from jobs.broker.database.sqlite.word import Ear\n"
        "ear = Ear(sys.argv[1], 'email'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    before = set(sockets(folder)) if os.path.exists(folder) else set()
    assert subprocess.run([sys.executable, "-c", code, folder], timeout=30).returncode == -signal.SIGKILL
    (left,) = set(sockets(folder)) - before
    return left


def test_word_about_its_queue_is_heard_and_of_another_is_not(ear: Ear, folder: str) -> None:
    tell(folder, {"notification", "email"})
    assert ear.hear(1)
    tell(folder, {"notification", "emails", "mail"})
    assert not ear.hear(0.05)


def test_many_words_wake_once(ear: Ear, folder: str) -> None:
    for _ in range(5):
        tell(folder, {"email"})
    assert ear.hear(1)
    assert not ear.hear(0.05)


def test_every_process_of_a_queue_hears(ear: Ear, folder: str) -> None:
    second = Ear(folder, "email")
    tell(folder, {"email"})
    assert ear.hear(1)
    assert second.hear(1)
    second.close()


def test_full_ear_stops_nobody_and_still_hears(ear: Ear, folder: str) -> None:
    for _ in range(2_000):
        tell(folder, {"email"})
    assert ear.hear(1)


def test_what_a_killed_process_left_is_removed_by_the_next_word(folder: str) -> None:
    left = abandoned(folder)
    tell(folder, {"email"})
    assert not left.exists()


def test_what_a_killed_process_left_is_removed_by_the_next_ear(folder: str) -> None:
    left = abandoned(folder)
    other = Ear(folder, "notification")
    assert not left.exists()
    assert len(sockets(folder)) == 1
    other.close()


def test_living_ears_and_strange_files_are_never_removed(ear: Ear, folder: str) -> None:
    strange = Path(folder) / "email.notes"
    strange.touch()
    tell(folder, {"email"})
    Ear(folder, "email").close()
    assert strange.exists()
    assert ear.hear(1)


def test_closed_ear_leaves_no_socket(folder: str) -> None:
    Ear(folder, "email").close()
    assert not sockets(folder)


def test_folder_whose_path_is_longer_than_an_address_is_no_hindrance(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 100) / ("b" * 100)
    deep.mkdir(parents=True)
    (deep / "jobs.sqlite3").touch()
    folder = folder_of(str(deep / "jobs.sqlite3"))
    assert len(folder) > LONGEST_ADDRESS
    ear = Ear(folder, "q" * 50)
    tell(folder, {"q" * 50})
    assert ear.hear(1)
    assert ear.is_in_place
    ear.close()
    assert not sockets(folder)


@pytest.mark.parametrize(
    ("of_file", "of_folder", "of_socket"),
    [(0o600, 0o700, 0o600), (0o644, 0o700, 0o600), (0o660, 0o770, 0o660), (0o666, 0o777, 0o666), (0o400, 0o700, 0o600)],
)
def test_only_who_may_write_the_database_may_listen_and_speak(
    database: Path, folder: str, of_file: int, of_folder: int, of_socket: int
) -> None:
    before = os.umask(0)
    try:
        database.chmod(of_file)
        ear = Ear(folder, "email")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(folder).st_mode) == of_folder
    assert [stat.S_IMODE(each.stat().st_mode) for each in sockets(folder)] == [of_socket]
    ear.close()


def test_folder_of_a_stranger_in_a_place_like_tmp_is_not_used(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder of somebody else")
    tmp_path.chmod(0o1777)
    database = tmp_path / "jobs.sqlite3"
    database.touch()
    folder = folder_of(str(database))
    os.mkdir(folder)
    os.chown(folder, 12345, 12345)
    with pytest.raises(PermissionError, match="remove it"):
        Ear(folder, "email")
    tell(folder, {"email"})


def test_link_in_place_of_the_folder_is_not_followed(folder: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", folder)
    with pytest.raises(PermissionError):
        Ear(folder, "email")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_where_no_socket_can_be_had_nobody_hears_and_it_is_said_once(
    folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    Path(folder).touch()
    ears = Ears()
    assert [ears.hear(folder, "email", 1) for _ in range(3)] == [None] * 3
    assert caplog.text.count("no_word") == 1
    tell(folder, {"email"})
    Path(folder).unlink()
    assert ears.hear(folder, "email", 1) is True
    ears.close()


def test_system_without_such_sockets_does_without_word(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ears = Ears()
    os.mkdir(folder)
    (Path(folder) / "email.1.2").touch()
    monkeypatch.delattr(socket, "AF_UNIX")
    assert ears.hear(folder, "email", 1) is None
    tell(folder, {"email"})


def test_who_begins_to_listen_looks_once_and_again_after_its_socket_was_removed(folder: str) -> None:
    ears = Ears()
    assert ears.hear(folder, "email", 1) is True
    assert ears.hear(folder, "email", 0.01) is False
    sockets(folder)[0].unlink()
    assert ears.hear(folder, "email", 1) is True
    tell(folder, {"email"})
    assert ears.hear(folder, "email", 1) is True
    ears.close()


def test_ear_that_is_closed_while_it_listens_says_nothing_about_it(
    folder: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears, heard, begun, hear = Ears(), [], threading.Event(), Ear.hear
    ears.hear(folder, "email", 1)
    monkeypatch.setattr(Ear, "hear", lambda ear, seconds: (begun.set(), hear(ear, seconds))[1])
    listening = threading.Thread(target=lambda: heard.append(ears.hear(folder, "email", 0.2)))
    listening.start()
    assert begun.wait(60)
    ears.close()
    listening.join(60)
    assert len(heard) == 1
    assert not heard[0]
    assert not sockets(folder)
    assert "no_word" not in caplog.text


def test_forked_child_leaves_the_socket_to_its_parent(folder: str) -> None:
    """The child's copy is closed: its parent's death is seen, and what it closes is not the parent's."""
    ears = Ears()
    ears.hear(folder, "email", 1)
    out, into = os.pipe()
    child = os.fork()
    if not child:
        ears.leave_to_parent()
        ears.close()
        os.write(into, b"left")
        signal.pause()
        os._exit(0)
    try:
        assert select.select([out], [], [], 10)[0]
        tell(folder, {"email"})
        assert ears.hear(folder, "email", 1) is True
        # as if the parent were killed: the child lives, and nobody listens
        place = sockets(folder)
        next(iter(ears._ears.values()))._socket.close()
        tell(folder, {"email"})
        assert place
        assert not sockets(folder)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(out)
        os.close(into)


@pytest.mark.parametrize("name", [":memory:", "file:memorydb_default?mode=memory&cache=shared", ""])
def test_database_without_a_file_has_no_word(name: str) -> None:
    assert folder_of(name) == ""


def test_all_names_of_one_file_lead_to_one_folder(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(database)
    monkeypatch.chdir(tmp_path)
    names = [str(database), "jobs.sqlite3", str(tmp_path / "link"), f"file:{database}?mode=rw", f"file://{database}"]
    assert {folder_of(name) for name in names} == {f"{database}-word"}
