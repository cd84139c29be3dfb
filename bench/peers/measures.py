"""The measures, by name, and how each is taken."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from .ledger import IN_HAND, percentile, verdict
from .run import Mark, Run

Figures = dict[str, float]


@dataclass(frozen=True)
class Measure:
    """What a measure counts in, whether more of it is better, and how far two single rounds of the same may differ."""

    unit: str
    more_is_better: bool = False
    noise: float = 0.3


MEASURES = {
    "enqueue": Measure("jobs/s", True),
    "enqueue_bulk": Measure("jobs/s", True),
    "throughput_c1": Measure("jobs/s", True),
    "throughput_c10": Measure("jobs/s", True),
    "throughput_c50": Measure("jobs/s", True),
    "throughput_2p": Measure("jobs/s", True),
    "cpu_us": Measure("µs"),
    "pickup_p50": Measure("ms"),
    "pickup_p99": Measure("ms", noise=1.0),
    "late_p50": Measure("ms"),
    "late_p99": Measure("ms", noise=1.0),
    "late_lone": Measure("ms"),
    "memory_100k": Measure("MB", noise=0.02),
    "cost_1m": Measure("×"),
    "lost": Measure("jobs", noise=0.0),
    "twice": Measure("jobs", noise=0.0),
    "idle_cpu": Measure("% of a core"),
}


@dataclass(frozen=True)
class Crash:
    """How the workers are killed: amid so many jobs of so many milliseconds, when so many have ended.

    After the others have started, `quiet` seconds without one more end are taken for the end of it all; once all have
    ended, `second` seconds are enough to see a job end again.
    """

    jobs: int = 2_000
    milliseconds: int = 20
    after: int = 500
    concurrency: int = 10
    quiet: float = 100.0
    second: float = 3.0


@dataclass(frozen=True)
class Amounts:
    """How much work a round does."""

    jobs: int = 10_000
    seconds: float = 8.0  # a run of throughput ends after so long; what ran until then counts
    enqueue_seconds: float = 4.0
    load_seconds: float = 10.0
    warm_up: int = 200
    lone: int = 100
    stream: int = 200
    alone: int = 8
    idle_seconds: float = 10.0
    memory_jobs: int = 100_000  # 0: those of the load are weighed
    memory_seconds: float = 30.0
    crash: Crash = Crash()


QUICK = Amounts(
    seconds=2.5,
    enqueue_seconds=1.0,
    load_seconds=2.5,
    warm_up=100,
    lone=30,
    stream=50,
    alone=3,
    idle_seconds=1.5,
    memory_jobs=0,
)
#: Seconds between two jobs of an idle system; until the due time of those of a stream, and of a lone one.
PAUSES, STREAM, ALONE = (0.03, 0.12), (0.5, 2.0), (0.3, 0.9)
#: Jobs that wait meanwhile, few and many; how often, and how many run, while the CPU is counted.
FEW, MANY, BOUTS, BOUT = 1_000, 1_000_000, 4, 5_000


def throughput(run: Run, amounts: Amounts, concurrency: int, processes: int = 1) -> Figures:
    """Jobs per second of a waiting load, from the moment when the waiting workers may go on."""
    run.start(concurrency, processes)
    run.warm_up(amounts.warm_up)
    with run.held():
        run.ask("bulk", count=amounts.jobs, seconds=amounts.load_seconds)
        begun = run.mark()
    rate, _ = _drain(run, begun, amounts.seconds)
    name = f"throughput_{processes}p" if processes > 1 else f"throughput_c{concurrency}"
    return {name: rate}


def at_ten(run: Run, amounts: Amounts) -> Figures:
    """All that is measured with ten at once: first on an idle system, then with work for it."""
    run.start(10)
    run.warm_up(amounts.warm_up)
    idle = {"idle_cpu": _idle_cpu(run, amounts.idle_seconds)} | _pickup(run, amounts.lone) | _late(run, amounts)
    return idle | _loaded(run, amounts)


def _loaded(run: Run, amounts: Amounts) -> Figures:
    """What it costs to enqueue, one by one and many at once; then throughput and CPU."""
    figures: Figures = {}
    with run.held():
        one = run.ask("one", count=amounts.jobs // 4, seconds=amounts.enqueue_seconds)
        before = run.store.size(run.place)
        bulk = run.ask("bulk", count=amounts.jobs - one["done"], seconds=amounts.load_seconds)
        if not amounts.memory_jobs:
            figures["memory_100k"] = _memory(run, before, bulk["done"])
        figures["enqueue"] = one["done"] / one["seconds"]
        if bulk["bulk"]:
            figures["enqueue_bulk"] = bulk["done"] / bulk["seconds"]
        begun = run.mark()
    figures["throughput_c10"], figures["cpu_us"] = _drain(run, begun, amounts.seconds)
    return figures


def memory(run: Run, amounts: Amounts) -> Figures:
    """MB that 100,000 waiting jobs take in the store; of fewer, where it takes fewer in the time."""
    before = run.store.size(run.place)
    loaded = run.ask("bulk", count=amounts.memory_jobs, seconds=amounts.memory_seconds)["done"]
    return {"memory_100k": _memory(run, before, loaded)}


def _memory(run: Run, before: float, jobs: int) -> float:
    return (run.store.size(run.place) - before) / jobs * 100_000 / 1e6


def cost_of_a_million(run: Run, amounts: Amounts) -> Figures:
    """CPU of workers and store a job with a million waiting over that with a thousand."""
    run.start(10)
    run.warm_up(BOUT)
    few = _cost(run, FEW)
    return {"cost_1m": _cost(run, MANY) / few}


def _cost(run: Run, waiting: int) -> float:
    """µs of CPU a job with so many that wait behind those that run.

    In several bouts, so that what is done once a second, like cutting the history, is done as often beside few as
    beside many. Each is between two pauses of the queue: what is counted has run and is committed, and nothing else;
    what it costs to take the load in is over.
    """
    used, jobs = 0.0, 0
    for _ in range(BOUTS):
        run.pause()
        run.ask("bulk", count=waiting + BOUT - (run.enqueued - run.ledger.count()), seconds=600)
        run.wait_until_idle()
        begun = run.mark()
        run.resume()
        run.wait_for(begun.notes + BOUT)
        run.pause()
        time.sleep(IN_HAND)
        ran = run.ledger.count()
        run.wait_until_settled(ran)
        used, jobs = used + run.mark().cpu - begun.cpu, jobs + ran - begun.notes
    return used / jobs * 1e6


def crash(run: Run, amounts: Amounts) -> Figures:
    """Kill the workers amid their work, start others, and count what never ended and what ended twice."""
    plan = amounts.crash
    run.start(plan.concurrency)
    run.warm_up(1)
    since, first = run.ledger.count(), run.enqueued
    run.ask("bulk", count=plan.jobs, seconds=300, milliseconds=plan.milliseconds)
    run.wait_for(since + plan.after)
    killed_at = run.workers.kill()
    run.start(plan.concurrency)
    numbers = range(first, run.enqueued)
    _wait_for_the_rest(run, since, len(numbers), plan)
    found = verdict(numbers, run.ledger.notes(since), killed_at)
    return {"lost": found.lost, "twice": found.twice}


def _wait_for_the_rest(run: Run, since: int, jobs: int, plan: Crash) -> None:
    seen, changed = 0, time.time()
    while True:
        notes = run.ledger.notes(since)
        if len(notes) != seen:
            seen, changed = len(notes), time.time()
        ended = len({note.number for note in notes})
        if time.time() - changed > (plan.second if ended == jobs else plan.quiet):
            return
        run.workers.check()
        time.sleep(IN_HAND)


def _drain(run: Run, begun: Mark, seconds: float) -> tuple[float, float]:
    """Jobs per second and µs of CPU a job until the load has run, or so long; then until what has run is committed."""
    run.wait_for(run.enqueued, until=begun.at + seconds)
    ran = run.ledger.count()
    run.wait_until_settled(ran)
    now, jobs = run.mark(), ran - begun.notes
    if not jobs:
        raise RuntimeError(f"no job ran in {now.at - begun.at:.0f} s")
    return jobs / (now.at - begun.at), (now.cpu - begun.cpu) / jobs * 1e6


def _pickup(run: Run, jobs: int) -> Figures:
    """From the return of `enqueue` to the job's work, of jobs that come alone."""
    since = run.ledger.count()
    waits = _lateness(run, lambda: run.ask("apart", count=jobs, pause=PAUSES)["times"], since)
    return {"pickup_p50": percentile(waits, 50), "pickup_p99": percentile(waits, 99)}


def _late(run: Run, amounts: Amounts) -> Figures:
    """From the due time to the job's work: of a stream of delayed jobs, and of one that is alone (the median)."""
    delays = [random.uniform(*STREAM) for _ in range(amounts.stream)]
    stream = _lateness(run, lambda: run.ask("later", delays=delays)["times"], run.ledger.count())
    lone = []
    for _ in range(amounts.alone):
        delay = random.uniform(*ALONE)
        lone += _lateness(run, lambda delay=delay: run.ask("later", delays=[delay])["times"], run.ledger.count())  # type: ignore[misc]
    return {
        "late_p50": percentile(stream, 50),
        "late_p99": percentile(stream, 99),
        "late_lone": percentile(lone, 50),
    }


def _lateness(run: Run, times: Callable[[], list[float]], since: int) -> list[float]:
    return [(note.at - at) * 1000 for at, note in run.notes_of(times, since)]


def _idle_cpu(run: Run, seconds: float) -> float:
    """Percent of a core that the workers use while nothing happens."""
    time.sleep(1.0)
    began, before = time.monotonic(), run.workers.cpu_of_the_living()
    time.sleep(seconds)
    return (run.workers.cpu_of_the_living() - before) / (time.monotonic() - began) * 100
