"""What a run found: as one document, together with other runs, as a table, in words, and beside an earlier run."""

from __future__ import annotations

import copy
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .environments import python_version
from .ledger import median
from .measures import MEASURES, Amounts
from .rounds import Found

#: The spread of several rounds is widened by so much on both sides.
NOISE = 0.05
#: What takes long and is measured once, if at all.
RARE = ("lost", "twice", "cost_1m")
Document = dict[str, Any]


def document(found: Found, rounds: int, amounts: Amounts, load_before: float) -> Document:
    """One JSON object: a number for each system and measure, and the machine; then all rounds, and how they came."""
    run = {
        "ended": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "rounds": rounds,
        "jobs": amounts.jobs,
        "seconds": amounts.seconds,
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "taken": {system: list(measures) for system, measures in found.values.items()},
    }
    return {
        "systems": _rounded(found.medians()),
        "machine": _machine(),
        "values": _rounded(found.values),
        "left_out": found.left_out,
        "runs": [run],
    }


def merged(documents: Sequence[Document]) -> Document:
    """One document of several: what two of them measured is the later one's. Raises `ValueError` on other machines."""
    made = copy.deepcopy(documents[0])
    for later in documents[1:]:
        if later["machine"] != made["machine"]:
            raise ValueError(f"the runs are of different machines: {made['machine']} and {later['machine']}")
        for name, values in later["values"].items():
            made["values"].setdefault(name, {}).update(values)
            made["systems"].setdefault(name, {}).update(later["systems"][name])
            for run in made["runs"]:
                run["taken"][name] = [each for each in run["taken"].get(name, []) if each not in values]
        made["left_out"] |= later["left_out"]
        made["runs"] += copy.deepcopy(later["runs"])
    return made


def table(document: Document) -> str:
    """Markdown: two tables with a row for each system; ranges where there are rounds; then who is left out, and why."""
    names = list(MEASURES)
    parts = [names[: names.index("cpu_us") + 1], names[names.index("cpu_us") + 1 :]]
    lines = [_rows(document, part) for part in parts]
    lines += [f"- Left out: {name}, {reason}" for name, reason in document["left_out"].items()]
    return "\n\n".join(lines)


def words(document: Document) -> str:
    """Markdown: on what machine, when, with how many rounds and jobs and beside what load each figure was taken."""
    machine, runs = document["machine"], document["runs"]
    where = f"{machine['cores']} cores of {machine['processor']}, {machine['system']}, Python {machine['python']}."
    told = [_of_run(run) for run in runs]
    if len(told) > 1:
        told = [f"{number}. {text}" for number, text in enumerate(told, 1)]
    return "\n".join([f"{where} In brackets the least and the most of the rounds.", "", *told])


def _of_run(run: dict[str, Any]) -> str:
    kinds: dict[tuple[str, ...], list[str]] = {}
    for name, measures in run["taken"].items():
        kind = tuple(each for each in RARE if each in measures)
        kinds.setdefault((*kind, "the rest") if set(measures) - set(RARE) else kind, []).append(name)
    taken = "; ".join(f"{_kind(kind)} of {', '.join(names)}" for kind, names in kinds.items() if kind)
    rounds = f"{run['rounds']} round{'s' if run['rounds'] != 1 else ''}"
    return (
        f"Ended {run['ended']}; load average {run['load_before']} when it began, {run['load_after']} when it ended; "
        f"{rounds}, {run['jobs']:,} jobs a load, cut after {run['seconds']:g} s: {taken}."
    )


def _kind(kind: tuple[str, ...]) -> str:
    missing = [f"`{each}`" for each in RARE if each not in kind]
    if "the rest" in kind:
        return "everything" + (f" but {', '.join(missing)}" if missing else "")
    return ", ".join(f"`{each}`" for each in kind)


def _rows(document: dict[str, Any], measures: list[str]) -> str:
    rows = [["system", *(f"`{name}` {MEASURES[name].unit}" for name in measures)], ["---", *("---:" for _ in measures)]]
    for name, found in document["systems"].items():
        values = document["values"][name]
        rows.append([name, *(_cell(found.get(measure), values.get(measure)) for measure in measures)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def compared(old: Document, new: Document) -> str:
    """A line for each measure whose middle left the other run's rounds by more than the noise; more for one round."""
    lines = []
    for name, measures in new["systems"].items():
        for measure, value in measures.items():
            before = old["systems"].get(name, {}).get(measure)
            if before is None or not _moved(measure, old["values"][name][measure], new["values"][name][measure]):
                continue
            better = (value > before) == MEASURES[measure].more_is_better
            ratio = f" ({value / before:.2f}×)" if before else ""
            lines.append(
                f"{name} {measure}: {number(before)} → {number(value)} {MEASURES[measure].unit}{ratio}, "
                f"{'better' if better else 'worse'}"
            )
    gone = [name for name in old["systems"] if name not in new["systems"]]
    lines += [f"{name}: not in the new run" for name in gone]
    return "\n".join(lines) or "Nothing moved beyond the noise."


def number(value: float) -> str:
    """As it is shown: with three digits or more."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _moved(measure: str, old: list[float], new: list[float]) -> bool:
    """The rounds of each, widened by what is noise anyway, leave out the other's middle."""
    return not _within(median(new), old, measure) and not _within(median(old), new, measure)


def _within(value: float, rounds: list[float], measure: str) -> bool:
    noise = MEASURES[measure].noise if len(rounds) == 1 else min(NOISE, MEASURES[measure].noise)
    return min(rounds) / (1 + noise) <= value <= max(rounds) * (1 + noise)


def _cell(value: float | None, rounds: list[float] | None) -> str:
    if value is None or rounds is None:
        return "–"
    least, most = number(min(rounds)), number(max(rounds))
    return number(value) if least == most else f"{number(value)} ({least}–{most})"


def _rounded(value: Any) -> Any:
    """Numbers to four digits behind the point; the rest as it is."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, 4)


def _machine() -> dict[str, Any]:
    names = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    processor = next((line.partition(":")[2].strip() for line in names if line.startswith("model name")), "unknown")
    return {
        "cores": os.cpu_count(),
        "processor": processor,
        "system": f"{platform.system()} {platform.release()}",
        "python": python_version(),
    }
