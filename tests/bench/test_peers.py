"""The benchmark beside other systems cannot lie: what a system does wrong shows, and what is missing is named."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.peers import measures
from bench.peers.__main__ import main
from bench.peers.environments import ROOT, NodePackages
from bench.peers.ledger import Note, percentile, verdict
from bench.peers.measures import MEASURES, Amounts, Crash, Figures
from bench.peers.processes import tree
from bench.peers.publish import BEGIN, END, publish
from bench.peers.report import compared, document, merged, table, words
from bench.peers.rounds import Found, Servers, measure
from bench.peers.run import Run
from bench.peers.stores import Missing, Redis, RedisWithHistory, Sqlite
from bench.peers.systems import SYSTEMS, System

pytestmark = pytest.mark.slow

FLAWED = str(Path(__file__).with_name("flawed.py"))
SMALL = Amounts(
    jobs=60,
    seconds=5.0,
    warm_up=4,
    lone=3,
    stream=5,
    alone=1,
    idle_seconds=0.1,
    memory_jobs=50,
    crash=Crash(jobs=40, milliseconds=5, after=10, concurrency=1, quiet=4.0, second=3.0),
)
CUT = replace(SMALL, jobs=1_000, seconds=1.0)


class Here:
    """An environment that is there."""

    def set_up(self) -> Path:
        return Path(sys.executable)


def system(flaw: str = "", store: str = "sqlite", **changes: Any) -> System:
    made = System(
        "flawed",
        store,
        Here(),
        producer=["{program}", FLAWED, "produce"],
        workers=lambda concurrency, processes: [["{program}", FLAWED, "work"]],
        says="",
        variables=(("FLAW", flaw),),
    )
    return replace(made, **changes)


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[Callable[[Callable[[Run, Amounts], Figures], System], Figures]]:
    """`taken(part, system)` runs the system on an empty store and takes these measures."""

    servers = Servers(tmp_path)

    def take(part: Callable[[Run, Amounts], Figures], of: System) -> Figures:
        with Run(of, of.environment.set_up(), servers.get(of.store), tmp_path / "run") as run:
            return part(run, SMALL)

    yield take
    servers.remove()


@pytest.mark.parametrize(
    ("flaw", "store", "shown"),
    [
        ("", "sqlite", {"lost": 0, "twice": 0}),
        ("lose=20", "sqlite", {"lost": 1, "twice": 0}),
        ("lose=4", "redis", {"lost": 1, "twice": 0}),
        ("twice=20", "redis", {"lost": 0, "twice": 1}),
    ],
)
def test_what_a_system_loses_or_runs_twice_shows(taken: Any, flaw: str, store: str, shown: Figures) -> None:
    assert taken(measures.crash, system(flaw, store)) == shown


def test_a_job_that_the_killed_worker_had_in_hand_may_end_again_and_any_other_may_not() -> None:
    notes = [Note(1, 10.0), Note(2, 11.95), Note(2, 13.0), Note(3, 13.0), Note(3, 14.0), Note(1, 15.0)]
    found = verdict(range(1, 5), notes, killed_at=12.0)
    assert (found.lost, found.twice, found.again) == (1, 2, 1)


def test_throughput_is_what_the_system_does_and_not_more(taken: Any) -> None:
    figures = taken(lambda run, amounts: measures.throughput(run, amounts, 10), system("slow=0.01"))
    assert 20 < figures["throughput_c10"] <= 100


def test_a_run_that_is_cut_counts_what_has_run(taken: Any) -> None:
    figures = taken(lambda run, amounts: measures.throughput(run, CUT, 10), system("slow=0.05"))
    assert 4 < figures["throughput_c10"] <= 20


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_who_commits_the_end_of_a_job_later_is_so_much_slower(taken: Any, store: str) -> None:
    figures = taken(lambda run, amounts: measures.throughput(run, amounts, 10), system("commit=0.5", store))
    assert figures["throughput_c10"] <= SMALL.jobs / 0.5
    figures = taken(lambda run, amounts: measures.throughput(run, CUT, 10), system("slow=0.05,commit=0.5", store))
    assert 2 < figures["throughput_c10"] <= 20 / 1.5


def test_this_project_on_redis_is_timed_until_the_history_has_the_last_end(tmp_path: Path) -> None:
    (ours,) = [replace(each, environment=Here()) for each in SYSTEMS if each.name == "esteira-redis"]
    redis = Redis()
    try:
        with Run(ours, Path(sys.executable), RedisWithHistory(redis, Sqlite(tmp_path)), tmp_path / "run") as run:
            run.start(10)
            run.warm_up(SMALL.warm_up)
            with run.held():
                run.ask("bulk", count=SMALL.jobs, seconds=SMALL.load_seconds)
                begun = run.mark()
                (keeper,) = [pid for pid in tree(os.getpid()) if "--child keeper" in command_of(pid)]
            os.kill(keeper, signal.SIGSTOP)  # it alone writes the history, and does so a second later
            threading.Timer(1.0, os.kill, [keeper, signal.SIGCONT]).start()
            rate, _cpu = measures._drain(run, begun, SMALL.seconds)
            assert run.left() == 0
    finally:
        redis.remove()
    assert 5 < rate <= SMALL.jobs


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def test_who_is_late_shows_late(taken: Any) -> None:
    figures = taken(measures.at_ten, system("late=0.2"))
    assert figures["late_lone"] >= 200
    assert figures["late_p99"] >= figures["late_p50"] >= 200
    assert figures["pickup_p50"] < 100


def test_every_measure_of_a_whole_run_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "MANY", 500)
    monkeypatch.setattr(measures, "FEW", 100)
    monkeypatch.setattr(measures, "BOUT", 100)
    monkeypatch.setattr(measures, "BOUTS", 1)
    found = measure([system(million=True)], 1, SMALL, rare=True, show=lambda done, steps, what: None)
    made = document(found, 1, SMALL, 0.5)
    assert found.left_out == {}
    assert set(made["systems"]["flawed"]) == set(MEASURES)
    assert {"cores", "processor", "python"} <= set(made["machine"])


def test_what_cannot_be_installed_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for program in ("node", "npm"):
        (tmp_path / program).write_text("#!/bin/sh\necho 'npm error 404 Not Found: no-such-package' >&2\nexit 1\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("bench.peers.environments.FOLDER", tmp_path / "peers")
    absent = system(name="absent", environment=NodePackages("absent", ["no-such-package"]))
    found = measure([absent], 1, SMALL, rare=True, show=lambda done, steps, what: None)
    assert found.left_out == {"absent": "it cannot be installed: npm error 404 Not Found: no-such-package"}
    assert document(found, 1, SMALL, 0.5)["systems"] == {}


def test_without_node_the_reason_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Missing, match="no Node"):
        NodePackages("bullmq", ["bullmq"]).set_up()


@pytest.mark.parametrize(
    ("values", "part", "expected"),
    [([7.0], 99, 7.0), ([3, 1, 2], 50, 2), ([1, 2], 50, 1.5), (range(101), 99, 99), ([5, 1], 100, 5), ([5, 1], 0, 1)],
)
def test_percentiles(values: list[float], part: float, expected: float) -> None:
    assert percentile(list(values), part) == expected


def test_the_middle_of_the_rounds_is_shown_and_of_losses_the_worst() -> None:
    found = Found()
    for enqueue, lost in ((1, 0), (9, 3), (2, 1)):
        found.add("one", {"enqueue": enqueue, "lost": lost})
    assert found.medians() == {"one": {"enqueue": 2, "lost": 3}}


def test_a_comparison_says_what_moved_beyond_the_noise_and_in_which_direction() -> None:
    old = saved(enqueue=(90, 100, 110), cpu_us=(90, 100, 110), lost=(0,), pickup_p50=(1, 1, 1))
    new = saved(enqueue=(140, 150, 160), cpu_us=(115, 125, 130), lost=(1,), pickup_p50=(1.04, 1.04, 1.04))
    lines = compared(old, new).splitlines()
    assert [line.split(":")[0] for line in lines] == ["one enqueue", "one cpu_us", "one lost"]
    assert "100 → 150 jobs/s (1.50×), better" in lines[0]
    assert lines[1].endswith("worse")
    assert lines[2].endswith("worse")
    assert compared(old, old) == "Nothing moved beyond the noise."


def test_of_single_rounds_only_a_large_difference_counts_where_a_measure_is_noisy() -> None:
    old = saved(throughput_c10=(1_000,), memory_100k=(50,), late_p99=(10,))
    new = saved(throughput_c10=(1_250,), memory_100k=(52,), late_p99=(19,))
    assert [line.split(":")[0] for line in compared(old, new).splitlines()] == ["one memory_100k"]
    assert "1.40×), better" in compared(old, saved(throughput_c10=(1_400,)))


def saved(**of: tuple[float, ...]) -> dict[str, Any]:
    return document(Found({"one": {name: list(values) for name, values in of.items()}}), 1, SMALL, 0.5)


def test_of_merged_runs_the_later_one_counts_and_the_words_say_which_run_measured_what() -> None:
    first, second = Found(), Found(left_out={"rq": "no Redis"})
    for jobs in (10.0, 30.0, 20.0):
        first.add("bullmq", {"throughput_c10": jobs, "lost": 5})
        first.add("oban", {"throughput_c10": jobs})
    second.add("bullmq", {"lost": 1, "cost_1m": 1.1})
    second.add("celery", {"throughput_c10": 7, "lost": 2, "twice": 0, "cost_1m": 1.0})
    made = merged([document(first, 3, SMALL, 0.5), document(second, 1, replace(SMALL, jobs=9_999), 1.25)])
    assert made["systems"] == {
        "bullmq": {"throughput_c10": 20, "lost": 1, "cost_1m": 1.1},
        "oban": {"throughput_c10": 20},
        "celery": {"throughput_c10": 7, "lost": 2, "twice": 0, "cost_1m": 1.0},
    }
    one, two = [line for line in words(made).splitlines() if re.match(r"\d\. ", line)]
    assert one.endswith(
        "; 3 rounds, 60 jobs a load, cut after 5 s: everything but `lost`, `twice`, `cost_1m` of bullmq, oban."
    )
    assert "load average 1.25 when it began" in two
    assert two.endswith(
        "; 1 round, 9,999 jobs a load, cut after 5 s: `lost`, `cost_1m` of bullmq; everything of celery."
    )
    assert "Left out: rq, no Redis" in table(made)


def test_runs_of_different_machines_are_not_merged() -> None:
    one = saved(enqueue=(1,))
    with pytest.raises(ValueError, match="different machines"):
        merged([one, {**one, "machine": {**one["machine"], "cores": 64}}])


def test_a_system_whose_workers_die_is_named_and_the_others_are_measured_in_one_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.peers.__main__.SYSTEMS", [system(quick=True), system("die", name="broken", quick=True)])
    monkeypatch.setattr("bench.peers.__main__.QUICK", replace(SMALL, memory_jobs=0))
    monkeypatch.setattr("sys.argv", ["peers", "--quick", "--json", "--save", str(tmp_path / "saved.json")])
    main()
    printed = capsys.readouterr()
    made = json.loads(printed.out, parse_constant=pytest.fail)
    assert set(made["systems"]) == {"flawed"}
    assert set(MEASURES) - set(made["systems"]["flawed"]) == {"lost", "twice", "cost_1m"}
    assert "has died of its flaw" in made["left_out"]["broken"]
    assert "Left out: broken, " in table(made)
    assert made == json.loads((tmp_path / "saved.json").read_text())
    assert "flawed: round 1 of 1" in printed.err


def test_a_saved_run_replaces_the_figures_in_the_readme_and_draws_them(tmp_path: Path) -> None:
    readme, brokers = tmp_path / "bench" / "README.md", tmp_path / "docs" / "brokers.md"
    for page in (readme, brokers):
        page.parent.mkdir()
        page.write_text(f"before\n{BEGIN}\nold figures\n{END}\nafter\n", encoding="utf-8")
    found = Found(left_out={"oban": "no PostgreSQL"})
    for jobs in (10.0, 30.0, 20.0):
        found.add("bullmq", {"throughput_c10": jobs})
        found.add("esteira-sqlite", {"throughput_c10": jobs * 2})
    publish(document(found, 3, SMALL, 0.5), tmp_path)
    text = readme.read_text(encoding="utf-8")
    assert "load average 0.5 when it began" in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old figures" not in text
    assert "Left out: oban, no PostgreSQL" in text
    assert "| esteira-sqlite | – | – | – | 40 (20–60) |" in text
    assert "| one worker process with 1 / 10 / 50 threads, jobs/s | 40 | – | – |" in brokers.read_text(encoding="utf-8")
    drawing = ElementTree.parse(tmp_path / "bench" / "peers.svg")
    bars = [float(bar.get("width", "")) for bar in drawing.iter("{http://www.w3.org/2000/svg}rect")]
    assert bars == [pytest.approx(280), pytest.approx(140)]


def test_the_readme_of_the_benchmarks_explains_every_measure() -> None:
    text = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    named = {
        word
        for line in text.splitlines()
        if line.startswith("| `")
        for word in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    whole = {name for name in named if not name.startswith("_")}
    short = {f"{base}{name}" for base in ("throughput", "pickup", "late") for name in named if name.startswith("_")}
    assert set(MEASURES) - whole - short == set()
    assert whole <= set(MEASURES)
