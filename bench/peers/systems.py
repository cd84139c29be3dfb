"""The systems that are compared, each as its own documentation would have it run fast and keep its jobs.

A line of `says` stands in bench/README.md. Late acknowledgement, and no more jobs taken than are run at once, wherever
the system can be told so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .environments import AGENTS, FOLDER, ROOT, Environment, NodePackages, PythonPackages, ThisProject

Command = list[str]


@dataclass(frozen=True)
class System:
    """One system. In its commands `{program}` is what its environment runs, `{store}` the address of its store."""

    name: str
    store: str  # sqlite, postgresql, redis, redis+postgresql
    environment: Environment
    #: enqueues what it is asked for: see `agents/producing.py`
    producer: Command
    #: (concurrency, processes) -> the commands of the workers
    workers: Callable[[int, int], Sequence[Command]]
    says: str
    prepare: Command | None = None
    quick: bool = False
    million: bool = False
    variables: tuple[tuple[str, str], ...] = ()


def _python(agent: str) -> Command:
    return ["{program}", str(AGENTS / agent)]


def _esteira(broker: str) -> System:
    manage = ["{program}", str(ROOT / "manage.py")]
    return System(
        f"esteira-{broker}",
        "redis+postgresql" if broker == "redis" else broker,
        ThisProject(["hiredis==3.5.0"]),
        producer=_python("esteira_producer.py"),
        prepare=[*manage, "migrate", "--verbosity", "0"],
        workers=lambda concurrency, processes: [
            [
                *manage,
                *("run_huey", "--no-reload", "--queue", "bench"),
                *("--concurrency", f"bench={concurrency}", "--processes", f"bench={processes}"),
            ]
        ],
        says="`run_huey` with its supervisor and keeper, history on, default retention, threads"
        + (", the history in PostgreSQL" if broker == "redis" else ""),
        quick=True,
        million=True,
        variables=(("DJANGO_SETTINGS_MODULE", "esteira_settings"), ("PYTHONPATH", f"{AGENTS}:{ROOT}")),
    )


def _oban(*words: str) -> Command:
    return ["{program}", "-m", "oban", *words, "--dsn", "{store}"]


def _procrastinate(*words: str) -> Command:
    return ["{program}", "-c", "import sys; from procrastinate_jobs import main; main(*sys.argv[1:])", *words]


def _huey(kind: str, store: str) -> System:
    suffix = {"process": "processes", "thread": "threads"}[kind]
    return System(
        f"huey-{suffix}" if store == "redis" else f"huey-{store}",
        store,
        PythonPackages("huey", ["huey==3.5.4", "redis==8.1.0", "hiredis==3.5.0"]),
        producer=_python("huey_jobs.py"),
        workers=lambda concurrency, processes: (
            [
                # its main module, called as its console script calls it
                [
                    *("{program}", "-c", "from huey.bin.huey_consumer import consumer_main; consumer_main()"),
                    *("huey_jobs.huey", "-k", kind, "-w", str(concurrency), "-n", "-q"),
                ]
            ]
            * processes
        ),
        says=f"{kind} workers, no results kept, no periodic tasks; a job is taken off the queue before it runs",
        quick=kind == "process" and store == "redis",
    )


_BULLMQ = System(
    "bullmq",
    "redis",
    NodePackages("bullmq", ["bullmq@6.7.0", "ioredis@6.0.0"]),
    producer=["{program}", str(FOLDER / "bullmq" / "bullmq_producer.mjs")],
    workers=lambda concurrency, processes: (
        [["{program}", str(FOLDER / "bullmq" / "bullmq_worker.mjs"), str(concurrency)]] * processes
    ),
    says="one Worker a process, concurrency by its own option, the last 1,000 ended jobs kept",
    quick=True,
    million=True,
)

_OBAN = System(
    "oban",
    "postgresql",
    PythonPackages("oban", ["oban==0.7.0"]),
    producer=_python("oban_jobs.py"),
    prepare=_oban("install"),
    workers=lambda concurrency, processes: (
        [
            _oban(
                "start",
                "--config",
                str(AGENTS / "oban.toml"),
                "--queues",
                f"bench:{concurrency}",
                "--log-level",
                "ERROR",
            )
        ]
        * processes
    ),
    says="`oban start` with uvloop, asynchronous jobs, its pool of ten connections, every row kept for a day",
    quick=True,
)

_CELERY = System(
    "celery",
    "redis",
    PythonPackages("celery", ["celery==5.7.0", "redis==8.1.0", "hiredis==3.5.0", "packaging==26.3"]),
    producer=_python("celery_jobs.py"),
    workers=lambda concurrency, processes: [
        [
            *("{program}", "-m", "celery", "-A", "celery_jobs", "worker", "-P", "prefork", "-c", str(concurrency)),
            *("-n", f"{number}@bench", "-l", "ERROR"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
        for number in range(processes)
    ],
    says="prefork, late acknowledgement, prefetch 1, no results, visibility timeout 30 s",
)

_DRAMATIQ = System(
    "dramatiq",
    "redis",
    PythonPackages("dramatiq", ["dramatiq==2.2.1", "redis==8.1.0", "hiredis==3.5.0"]),
    producer=_python("dramatiq_jobs.py"),
    workers=lambda concurrency, processes: [
        [
            *("env", f"dramatiq_queue_prefetch={concurrency}", "{program}", "-m", "dramatiq", "--skip-logging"),
            *("-p", str(processes), "-t", str(concurrency), "dramatiq_jobs"),
        ]
    ],
    says="threads, no more taken than there are threads, maintenance 20 times as often as by default, after 30 s",
)

_RQ = System(
    "rq",
    "redis",
    PythonPackages("rq", ["rq==3.0.0", "redis==8.1.0", "hiredis==3.5.0"]),
    producer=_python("rq_jobs.py"),
    workers=lambda concurrency, processes: (
        [
            [
                *("{program}", "-m", "rq.cli", "worker-pool", "bench", "-n", str(concurrency), "-q"),
                *("-w", "rq.worker.SimpleWorker", "-u", "{store}", "-P", str(AGENTS)),
            ]
        ]
        * processes
    ),
    says="a pool of SimpleWorkers (a process each, no fork a job), no results; its concurrency is the pool's size",
)

_PROCRASTINATE = System(
    "procrastinate",
    "postgresql",
    PythonPackages("procrastinate", ["procrastinate==3.10.0", "psycopg[binary,pool]==3.3.9"]),
    producer=_procrastinate("produce"),
    prepare=_procrastinate("prepare"),
    workers=lambda concurrency, processes: [_procrastinate("work", str(concurrency))] * processes,
    says="asynchronous jobs on one loop, LISTEN, every row kept, its documented task that retries stalled jobs",
)


def _django_tasks(name: str, store: str) -> System:
    by_ox = name == "django-ox"
    admin = ["{program}", "-m", "django"]

    def ox(concurrency: int, processes: int) -> list[Command]:
        return [[*admin, "ox_worker", "--concurrency", str(concurrency), "--processes", str(processes)]]

    def one_by_one(concurrency: int, processes: int) -> list[Command]:
        return [[*admin, "db_worker", "--queue-name", "*", "--no-startup-delay"]] * (min(concurrency, 5) * processes)

    return System(
        f"{name}-{store}",
        store,
        PythonPackages(
            "django-tasks",
            ["django==6.1.3", "django-ox==1.9.1", "django-tasks-db==0.13.0", "psycopg[binary]==3.3.9"],
        ),
        producer=_python("django_tasks_producer.py"),
        prepare=[*admin, "migrate", "--verbosity", "0"],
        workers=ox if by_ox else one_by_one,
        says="`ox_worker` with threads, persistent connections, lock timeout 30 s"
        if by_ox
        else "`db_worker`: one job at a time, so a process for each, five at most; persistent connections",
        variables=(
            ("DJANGO_SETTINGS_MODULE", "django_tasks_settings"),
            ("BENCH_BACKEND", "django_ox" if by_ox else "django_tasks_db"),
            ("PYTHONPATH", str(AGENTS)),
        ),
    )


SYSTEMS = [
    _esteira("redis"),
    _esteira("postgresql"),
    _esteira("sqlite"),
    _BULLMQ,
    _OBAN,
    _huey("process", "redis"),
    _huey("thread", "redis"),
    _huey("thread", "sqlite"),
    _CELERY,
    _DRAMATIQ,
    _RQ,
    _PROCRASTINATE,
    _django_tasks("django-ox", "postgresql"),
    _django_tasks("django-ox", "sqlite"),
    _django_tasks("django-tasks", "postgresql"),
    _django_tasks("django-tasks", "sqlite"),
]
