"""Rounds over the systems: part by part, so that what is compared was measured within the same minute."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from . import measures
from .environments import FOLDER, Environment
from .ledger import median
from .measures import Amounts, Figures
from .run import Run
from .stores import Missing, Postgresql, Redis, RedisWithHistory, Sqlite, Store
from .systems import System

Part = Callable[[Run, Amounts], Figures]
EACH_ROUND: Sequence[Part] = [
    measures.at_ten,
    lambda run, amounts: measures.throughput(run, amounts, 1),
    lambda run, amounts: measures.throughput(run, amounts, 50),
    lambda run, amounts: measures.throughput(run, amounts, 10, 2),
]
#: Crashes and installing measure no speed, so several systems do so at once.
CRASHES_AT_ONCE, INSTALLED_AT_ONCE = 8, 4


@dataclass
class Found:
    """All figures of a run, and why a system, or one of its measures, is not among them."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, system: str, figures: Figures) -> None:
        """Keep the figures of one part of one round."""
        for measure, value in figures.items():
            self.values.setdefault(system, {}).setdefault(measure, []).append(value)

    def medians(self) -> dict[str, Figures]:
        """The middle of the rounds; of lost and twice the worst."""
        return {
            system: {
                measure: max(values) if measure in {"lost", "twice"} else median(values)
                for measure, values in of_system.items()
            }
            for system, of_system in self.values.items()
        }


class Progress:
    """Counts the steps of a run; `show` gets how many of how many, and what is under way."""

    def __init__(self, steps: int, show: Callable[[int, int, str], None]) -> None:
        self._steps, self._show, self._done = steps, show, 0

    def step(self, what: str) -> None:
        """The next step begins."""
        self._show(self._done, self._steps, what)
        self._done += 1


def measure(
    systems: Sequence[System],
    rounds: int,
    amounts: Amounts,
    *,
    rare: bool,
    show: Callable[[int, int, str], None],
    only_rare: Collection[str] = (),
) -> Found:
    """All measures of these systems; without the rare ones no `lost`, `twice` and `cost_1m`, and of some only those."""
    found = Found()
    million = [system for system in systems if system.million] if rare else []
    timed = [system for system in systems if system.name not in only_rare]
    steps = (
        len(systems) * (2 if rare else 1)
        + len(timed) * (bool(amounts.memory_jobs) + rounds * len(EACH_ROUND))
        + len(million)
    )
    progress = Progress(steps, show)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=_made(FOLDER)))
    servers = Servers(folder)
    try:
        programs = _set_up(systems, servers, found, progress)
        there = [system for system in systems if system.name in programs]

        def do(part: Part, system: System, what: str, store: Store | None = None) -> None:
            if system.name in found.left_out:
                return
            progress.step(f"{system.name}: {what}")
            try:
                at = store or servers.get(system.store)
                with Run(system, programs[system.name], at, folder / system.name) as run:
                    found.add(system.name, part(run, amounts))
            except Exception as error:  # whatever fails in a system, the others are measured
                told = " ".join(str(error).split())[-400:] or type(error).__name__
                found.left_out[system.name] = f"{what}: {told}"

        for number in range(rounds):
            for place, part in enumerate(EACH_ROUND):
                for system in there:
                    if system in timed:
                        do(part, system, f"round {number + 1} of {rounds}, part {place + 1} of {len(EACH_ROUND)}")
        for system in there:
            if system in timed and amounts.memory_jobs:
                do(measures.memory, system, "jobs that wait")
        for system in there:
            if system in million:
                do(measures.cost_of_a_million, system, "a million jobs wait")
        if rare:
            _crashes(there, servers, do)
    finally:
        servers.remove()
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _crashes(systems: Sequence[System], servers: Servers, do: Callable[..., None]) -> None:
    def crash(system: System) -> None:
        # a Redis is emptied for each system, so several cannot share one
        own = Redis() if "redis" in system.store else None
        try:
            do(measures.crash, system, "a crash", servers.get(system.store, own))
        finally:
            if own is not None:
                own.remove()

    with ThreadPoolExecutor(CRASHES_AT_ONCE) as pool:
        list(pool.map(crash, systems))


class Servers:
    """The stores of a run, each started when a system first asks for it."""

    def __init__(self, folder: Path) -> None:
        self._made: dict[str, Store] = {}
        self._lacking: dict[str, str] = {}
        self._make: dict[str, Callable[[], Store]] = {
            "sqlite": lambda: Sqlite(folder),
            "postgresql": Postgresql,
            "redis": Redis,
        }

    def get(self, name: str, redis: Redis | None = None) -> Store:
        """The store of this name, by way of another Redis if one is given; raises `Missing`."""
        if name == "redis+postgresql":
            return RedisWithHistory(redis or self.get("redis"), self.get("postgresql"))
        if name == "redis" and redis is not None:
            return redis
        if name in self._lacking:
            raise Missing(self._lacking[name])
        if name not in self._made:
            try:
                self._made[name] = self._make[name]()
            except Missing as error:
                self._lacking[name] = str(error)
                raise
        return self._made[name]

    def remove(self) -> None:
        """End all of them."""
        for store in self._made.values():
            store.remove()


def _set_up(systems: Sequence[System], servers: Servers, found: Found, progress: Progress) -> dict[str, Path]:
    """Install what is missing and start the servers; who lacks something is named with the reason."""
    environments: list[Environment] = []
    for system in systems:
        if system.environment not in environments:
            environments.append(system.environment)
    with ThreadPoolExecutor(INSTALLED_AT_ONCE) as pool:
        tries = [pool.submit(environment.set_up) for environment in environments]
        programs: dict[str, Path] = {}
        for system in systems:
            progress.step(f"{system.name}: set up")
            try:
                program = tries[environments.index(system.environment)].result()
                servers.get(system.store)
                programs[system.name] = program
            except Exception as error:
                found.left_out[system.name] = str(error) or type(error).__name__
    return programs


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
