"""One system at work: an empty store, a producer, workers, and the notes of its jobs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from .environments import AGENTS
from .ledger import Ledger, Note
from .processes import Trees
from .stores import Store
from .systems import Command, System

#: Seconds between two looks at the notes; seconds until something that must come is given up.
LOOK, PATIENCE = 0.005, 60.0


@dataclass(frozen=True)
class Mark:
    """A moment: how many jobs had ended, the seconds of CPU that workers and store had used, and the time."""

    notes: int
    cpu: float
    at: float


class Run:
    """A system on an empty store; ends with all that it started."""

    def __init__(self, system: System, program: Path, store: Store, folder: Path) -> None:
        self.system, self.store = system, store
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._program = folder, program
        self.place = system.name.replace("-", "_")
        self._notes = folder / "notes"
        self._notes.unlink(missing_ok=True)
        self.ledger = Ledger(self._notes)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self._environment = {
            **kept,
            "PYTHONPATH": str(AGENTS),
            "BENCH_NOTES": str(self._notes),
            **dict(system.variables),
        }
        self._workers: Trees | None = None
        self._producer: subprocess.Popen[str] | None = None
        self._next = 0

    def __enter__(self) -> Run:
        prepare = self.system.prepare
        made = self.store.empty(self.place, (lambda at: self._prepare(prepare, at)) if prepare else None)
        self._environment["BENCH_STORE"] = made
        with (self._folder / "output").open("ab") as output:
            self._producer = subprocess.Popen(
                self._filled(self.system.producer),
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._workers is not None:
            self._workers.kill()
        if self._producer is not None:
            self._producer.kill()
            self._producer.communicate()

    @property
    def workers(self) -> Trees:
        """The worker processes; they must have been started."""
        if self._workers is None:
            raise RuntimeError("no workers are started")
        return self._workers

    def start(self, concurrency: int, processes: int = 1) -> None:
        """Start the workers, and return when they are not there yet; see `warm_up`."""
        commands = [self._filled(command) for command in self.system.workers(concurrency, processes)]
        self._workers = Trees(commands, self._environment, self._folder, self._folder / "output")

    def warm_up(self, jobs: int) -> None:
        """Let so many jobs run, one enqueued by itself and the others as they come."""
        self.ask("one", count=1, seconds=PATIENCE)
        self.ask("bulk", count=jobs - 1, seconds=PATIENCE)
        self.wait_for(self._next)
        self.wait_until_settled()

    def ask(self, what: str, **options: Any) -> dict[str, Any]:
        """Have jobs enqueued with the next free numbers; returns what the producer answers."""
        self._begin(what, **options)
        return self._answer(options.get("seconds", 0) + PATIENCE * 5)

    def _begin(self, what: str, **options: Any) -> None:
        self._write({"do": what, "first": self._next, **options})

    def _answer(self, patience: float) -> dict[str, Any]:
        """The answer to what was asked; raises `TimeoutError` if it does not come."""
        producer = self._alive_producer()
        if not select.select([producer.stdout], [], [], patience)[0]:
            raise TimeoutError(f"{self.system.name}: the producer does not answer")
        line = producer.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise RuntimeError(f"{self.system.name}: the producer ended: {self._last_output()}")
        answer: dict[str, Any] = json.loads(line)
        self._next += answer.get("done", len(answer.get("times", ())))
        return answer

    def pause(self) -> None:
        """Have the queue start nothing more; what runs goes on."""
        self._write({"do": "pause"})
        self._answer(PATIENCE)

    def resume(self) -> None:
        """Have the queue go on."""
        self._write({"do": "resume"})
        self._answer(PATIENCE)

    def left(self) -> int | None:
        """Jobs whose end is not committed; None where the system is not asked for that."""
        self._write({"do": "left"})
        left: int | None = self._answer(PATIENCE)["left"]
        return left

    def wait_for(self, notes: int, until: float | None = None) -> bool:
        """Wait until there are so many notes; False if the time (of `time.time`) came first. None: it must come."""
        limit = until or time.time() + PATIENCE
        while self.ledger.count() < notes:
            if time.time() > limit:
                if until is not None:
                    return False
                raise TimeoutError(f"{self.ledger.count()} of {notes} jobs ran in time: {self._last_output()}")
            if self._workers is not None:
                self._workers.check()
            time.sleep(LOOK)
        return True

    def wait_until_settled(self, jobs: int | None = None) -> None:
        """Wait until the ends of so many jobs (None: of all) are committed, where the system can say so."""
        wanted, committed, limit = self._next if jobs is None else jobs, -1, 0.0
        while (left := self.left()) is not None and self._next - left < wanted:
            if self._next - left > committed:
                committed, limit = self._next - left, time.time() + PATIENCE
            if time.time() > limit:
                raise TimeoutError(f"{wanted} jobs have ended, and {committed} ends are committed")
            time.sleep(LOOK)

    def wait_until_idle(self) -> None:
        """Wait until workers and store have nothing more to do: they use less than a tenth of a core for a second."""
        limit = time.time() + 10 * PATIENCE
        while True:
            before = self.mark()
            time.sleep(1.0)
            now = self.mark()
            if now.cpu - before.cpu < 0.1 * (now.at - before.at):
                return
            if now.at > limit:
                raise TimeoutError(f"{self.system.name}: workers or store are still busy with what was enqueued")

    def mark(self) -> Mark:
        """Where it stands."""
        return Mark(self.ledger.count(), self.workers.cpu() + self.store.cpu(), time.time())

    def notes_of(self, answer_of: Callable[[], list[float]], since: int) -> Iterator[tuple[float, Note]]:
        """The times that the producer answers, each with the note of its job."""
        first, times = self._next, answer_of()
        self.wait_for(since + len(times))
        found = {note.number: note for note in self.ledger.notes(since)}
        for place, at in enumerate(times):
            yield at, found[first + place]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile no worker process runs on; none of them holds a lock that the producer needs."""
        self.workers.check()
        while True:
            self.workers.stop()
            self._begin("one", count=1, seconds=PATIENCE)
            try:
                self._answer(1.0)
                break
            except TimeoutError:  # stopped amid a transaction
                self.workers.go_on()
                self._answer(PATIENCE)
        yield
        self.workers.go_on()

    @property
    def enqueued(self) -> int:
        """How many jobs were enqueued so far."""
        return self._next

    def _write(self, asked: dict[str, Any]) -> None:
        producer = self._alive_producer()
        producer.stdin.write(json.dumps(asked) + "\n")  # type: ignore[union-attr]
        producer.stdin.flush()  # type: ignore[union-attr]

    def _alive_producer(self) -> subprocess.Popen[str]:
        if self._producer is None:
            raise RuntimeError("no producer is started")
        return self._producer

    def _filled(self, command: Command) -> Command:
        store = self._environment["BENCH_STORE"]
        return [word.replace("{program}", str(self._program)).replace("{store}", store) for word in command]

    def _prepare(self, command: Command, at: str) -> None:
        self._environment["BENCH_STORE"] = at
        done = subprocess.run(
            self._filled(command), cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{self.system.name} cannot be prepared: {(done.stderr + done.stdout)[-800:]}")

    def _last_output(self) -> str:
        path = self._folder / "output"
        return path.read_text(errors="replace")[-800:] if path.exists() else ""
