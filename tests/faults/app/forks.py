"""What a task may do with processes; each answers something JSON, and a plain program would answer the same."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.process
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.db import connection, connections, transaction

from jobs import current_job

from .dispositions import dispositions
from .models import Counter, Sale

CASES: dict[str, Callable[[], Any]] = {}


def case(function: Callable[[], Any]) -> Callable[[], Any]:
    CASES[function.__name__] = function
    return function


def exit_code(pid: int, limit: float = 10.0) -> int:
    """How a child ended: its status, or the number of the signal below 0. One that does not end is killed."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError("the child did not end")


def forked(function: Callable[[], Any]) -> int:
    """How a child that calls the function and leaves by os._exit ended; 99: it raised."""
    if pid := os.fork():
        return exit_code(pid)
    try:
        os._exit(function() or 0)
    except BaseException as error:
        print("in the forked child:", repr(error), file=sys.stderr, flush=True)
    finally:
        os._exit(99)


@case
def child_leaves_by_os_exit() -> int:
    return forked(lambda: 3)


@case
def child_returns() -> int:
    pid = os.fork()
    return exit_code(pid) if pid else 7


@case
def child_exits_with_a_number() -> int:
    return exit_code(pid) if (pid := os.fork()) else sys.exit(4)


@case
def child_exits_with_a_text() -> int:
    return exit_code(pid) if (pid := os.fork()) else sys.exit("this is why")


@case
def child_exits_with_nothing() -> int:
    return exit_code(pid) if (pid := os.fork()) else sys.exit()


@case
def child_raises() -> int:
    if pid := os.fork():
        return exit_code(pid)
    raise ValueError("raised in a forked child")


@case
def child_is_interrupted() -> int:
    if pid := os.fork():
        return exit_code(pid)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)
    return 0


@case
def child_becomes_another_program() -> int:
    return exit_code(pid) if (pid := os.fork()) else os.execv("/bin/sh", ["sh", "-c", "exit 5"])


@case
def child_has_a_child_that_returns() -> int:
    if pid := os.fork():
        return exit_code(pid)
    if inner := os.fork():
        sys.exit(20 + exit_code(inner))
    return 0


@case
def child_ends_with_its_thread() -> int:
    codes: list[int] = []

    def run() -> None:
        if pid := os.fork():
            codes.append(exit_code(pid))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return codes[0]


@case
def child_is_ended_by_its_thread() -> int:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(forked(lambda: 6)))
    thread.start()
    thread.join()
    return codes[0]


@case
def threads_of_the_child_are_waited_for() -> int:
    told, tell = os.pipe()
    if pid := os.fork():
        exit_code(pid)
        return len(os.read(told, 10))
    threading.Thread(target=lambda: (time.sleep(0.1), os.write(tell, b"x")), daemon=False).start()
    return 0


@case
def signals_end_children() -> list[int]:
    def ended_by(number: int) -> int:
        if pid := os.fork():
            os.kill(pid, number)
            return exit_code(pid)
        time.sleep(10)
        os._exit(0)

    return [ended_by(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGALRM)]


@case
def dispositions_of_a_program() -> list[int]:
    return dispositions()


@case
def dispositions_of_a_shell() -> int:
    return os.waitstatus_to_exitcode(os.system("kill -TERM $$"))


@case
def worker_s_pipes_in_a_forked_child() -> list[str]:
    if pid := os.fork():
        return worker_s_pipes(pid)
    time.sleep(60)
    return []


@case
def worker_s_pipes_in_a_program() -> list[str]:
    return worker_s_pipes(subprocess.Popen(["sleep", "60"], close_fds=False).pid)


def worker_s_pipes(pid: int) -> list[str]:
    """Those to and from the supervisor that a process has too; ends the process."""
    mine = {os.readlink(f"/proc/self/fd/{end}") for end in sys.argv[sys.argv.index("--pipes") + 1].split(",")}
    # a child that was just forked, and one that was not yet executed, has them for a moment
    until = time.monotonic() + 5
    while (found := mine & links_of(pid)) and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return sorted(found)


def links_of(pid: int) -> set[str]:
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found


FORK = multiprocessing.get_context("fork")


def exit_code_of(process: multiprocessing.process.BaseProcess, limit: float = 10.0) -> int | None:
    """How it ended; None: not within the limit.

    Each thread that starts a process asks first how all others have ended. While one does so, `join` returns here and
    `exitcode` is still None.
    """
    until = time.monotonic() + limit
    while process.exitcode is None and time.monotonic() < until:
        process.join(0.1)
        time.sleep(0.005)
    return process.exitcode


@case
def pool_maps() -> list[int]:
    with FORK.Pool(2) as pool:
        return pool.map(abs, [-1, -2, -3])


@case
def pool_is_left_early() -> list[int | None]:
    with FORK.Pool(2) as pool:
        pool.map_async(time.sleep, [60, 60])
        processes = list(pool._pool)  # type: ignore[attr-defined]
    # one that had no work yet may have heard that there is none
    return [code for code in map(exit_code_of, processes) if code not in (0, -signal.SIGTERM)]


@case
def pool_is_closed() -> list[int]:
    pool = FORK.Pool(2)
    answer = pool.map(abs, [-1, -2])
    pool.close()
    pool.join()
    return answer


@case
def pool_is_terminated() -> int:
    pool = FORK.Pool(2)
    pool.map_async(time.sleep, [60, 60])
    pool.terminate()
    pool.join()
    return 0


@case
def process_is_terminated() -> int | None:
    process = FORK.Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    return exit_code_of(process)


@case
def process_exits() -> int | None:
    process = FORK.Process(target=sys.exit, args=(9,))
    process.start()
    return exit_code_of(process)


@case
def process_raises() -> int | None:
    process = FORK.Process(target=divmod, args=(1, 0))
    process.start()
    return exit_code_of(process)


@case
def executor_maps() -> list[int]:
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=FORK) as pool:
        return list(pool.map(abs, [-1, -2, -3]))


@case
def spawned_pool_maps() -> list[int]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(abs, [-1, -2])


@case
def forkserver_maps() -> list[int]:
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        return pool.map(abs, [-1, -2])


@case
def program_answers() -> list[Any]:
    done = subprocess.run(["sh", "-c", "echo out; exit 3"], capture_output=True, text=True, check=False)
    return [done.stdout, done.returncode]


@case
def program_with_preexec_answers() -> int:
    return subprocess.run(["sh", "-c", "exit 3"], preexec_fn=os.getpid, check=False).returncode


def counted() -> int:
    return Counter.objects.count() and 0


@case
def child_and_parent_use_the_database() -> list[int]:
    before = Counter.objects.count()
    codes = [forked(counted), forked(lambda: connections.close_all() or 0), forked(counted)]
    return [before, *codes, Counter.objects.count()]


@case
def child_is_forked_inside_a_transaction() -> list[Any]:
    """The child sees none of it and ends none of it, however it leaves the block."""
    hooks: list[int] = []
    codes = []
    with transaction.atomic():
        mine = Sale.objects.create(job=uuid4())
        transaction.on_commit(lambda: hooks.append(os.getpid()))
        codes.append(forked(lambda: Sale.objects.filter(pk=mine.pk).count()))
        codes.append(forked(lambda: connection.close() or 0))
        seen = Sale.objects.filter(pk=mine.pk).count()
    kept = Sale.objects.filter(pk=mine.pk).delete()[0]
    return [codes, seen, kept, hooks == [os.getpid()]]


@case
def child_leaves_a_transaction() -> list[Any]:
    """It ends the block by its end or by an error, which ends nothing of its parent's."""
    codes: list[int] = []
    with transaction.atomic():
        mine = Sale.objects.create(job=uuid4())
        codes += [leave_the_block(None), leave_the_block(ValueError())]
        seen = Sale.objects.filter(pk=mine.pk).count()
    return [codes, seen, Sale.objects.filter(pk=mine.pk).delete()[0]]


def leave_the_block(error: Exception | None) -> int:
    if pid := os.fork():
        return exit_code(pid)
    try:
        transaction.get_connection()
        block = transaction.Atomic(None, True, False)
        block.__exit__(type(error) if error else None, error, None)
        os._exit(12)
    finally:
        os._exit(99)


@case
def child_is_forked_beside_a_transaction() -> list[Any]:
    """Another thread is inside of one, and its connection dies with it in the child."""
    forks, ready = threading.Event(), threading.Event()
    kept: list[int] = []

    def write() -> None:
        with transaction.atomic():
            mine = Sale.objects.create(job=uuid4())
            ready.set()
            forks.wait(10)
        kept.append(Sale.objects.filter(pk=mine.pk).delete()[0])
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    ready.wait(10)
    codes = [forked(lambda: 0) for _ in range(3)]
    forks.set()
    thread.join()
    return [codes, kept]


@case
def child_enqueues() -> int:
    """As in any program: it has a connection of its own."""
    from .tasks import nap

    return forked(lambda: int(nap.enqueue().id is None))


@case
def child_asks_about_its_job() -> int:
    return forked(lambda: int(not current_job().still_mine()))


@case
def ignores_sighup() -> list[bool]:
    """Whether a forked child and another program were told to ignore it, as `nohup` asks for."""
    code = forked(lambda: int(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN))
    status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    ignored = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigIgn")), 16)
    return [code == 1, bool(ignored & 1 << (signal.SIGHUP - 1))]
