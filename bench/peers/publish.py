"""A saved run in bench/README.md, with how each system is set up, in docs/brokers.md, and as a drawing."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from .environments import ROOT, NodePackages, PythonPackages
from .measures import MEASURES
from .report import Document, number, table, words
from .systems import SYSTEMS, System

BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of the figures -->"
DRAWN = "throughput_c10"
#: What is told of a broker in one line, by how many figures it takes.
TOLD = {
    "`enqueue` from one process": ["enqueue"],
    "`enqueue_many`, 1,000 a call": ["enqueue_bulk"],
    "one worker process with 1 / 10 / 50 threads": ["throughput_c1", "throughput_c10", "throughput_c50"],
    "two worker processes with 10 threads each": ["throughput_2p"],
    "CPU a job, of workers and server": ["cpu_us"],
    "an idle worker starts a new job after (median / 99 %)": ["pickup_p50", "pickup_p99"],
    "a delayed job is late by (median / 99 %)": ["late_p50", "late_p99"],
    "100,000 waiting jobs take": ["memory_100k"],
    "a `run_huey` that waits uses": ["idle_cpu"],
}
ROW, LEFT, WIDTH, RIGHT = 26, 170, 420, 90


def publish(document: Document, root: Path = ROOT) -> None:
    """Put the figures between their marks in the README of bench/, and ours in docs/brokers.md; and draw them."""
    setups = _setups(list(document["systems"]))
    _put(root / "bench" / "README.md", f"{words(document)}\n\n{table(document)}\n\n{setups}")
    _put(root / "docs" / "brokers.md", ours(document))
    (root / "bench" / "peers.svg").write_text(drawing(document), encoding="utf-8")


def _put(page: Path, figures: str) -> None:
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}", encoding="utf-8")


def ours(document: Document) -> str:
    """Markdown: a column for each broker of this project."""
    brokers = {"SQLite": "esteira-sqlite", "PostgreSQL": "esteira-postgresql", "Redis": "esteira-redis"}
    lines = [f"| | {' | '.join(brokers)} |", "| --- | ---: | ---: | ---: |"]
    for told, names in TOLD.items():
        cells = [
            " / ".join(number(found[name]) for name in names if name in found)
            for found in (document["systems"].get(of, {}) for of in brokers.values())
        ]
        lines.append(f"| {told}, {MEASURES[names[0]].unit} | {' | '.join(cell or '–' for cell in cells)} |")
    return "\n".join(lines)


def _setups(names: list[str]) -> str:
    return "\n".join(f"- **{each.name}**{_packages(each)}: {each.says}." for each in SYSTEMS if each.name in names)


def _packages(system: System) -> str:
    match system.environment:
        case PythonPackages(packages=packages) | NodePackages(packages=packages):
            return f" ({', '.join(packages)})"
    return ""


def drawing(document: Document) -> str:
    """An SVG: a bar for each system's jobs per second at ten at once, the most first, with the range of the rounds."""
    found = {name: each[DRAWN] for name, each in document["systems"].items() if DRAWN in each}
    names = sorted(found, key=lambda name: -found[name])
    rounds = {name: document["values"][name][DRAWN] for name in names}
    scale = WIDTH / max((max(values) for values in rounds.values()), default=1)
    bars = [
        _bar(place, name, found[name], [min(rounds[name]) * scale, max(rounds[name]) * scale], scale)
        for place, name in enumerate(names)
    ]
    width, height = LEFT + WIDTH + RIGHT, 44 + ROW * len(names)
    title = "Jobs per second, one worker process, ten jobs at once; the lines span the rounds"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            f'font-family="system-ui, sans-serif" font-size="13">',
            f"<title>{title}</title>",
            "<style>text{fill:#1f2328}.bar{fill:#9aa4b2}.ours{fill:#1098ad}.range{stroke:#1f2328}"
            "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.range{stroke:#e6edf3}.bar{fill:#6e7681}"
            ".ours{fill:#1098ad}}</style>",
            f'<text x="8" y="22" font-weight="600">{title}</text>',
            *bars,
            "</svg>\n",
        ]
    )


def _bar(place: int, name: str, value: float, ends: list[float], scale: float) -> str:
    top = 36 + ROW * place
    middle = top + ROW / 2 - 4
    kind = "bar ours" if name.startswith("esteira") else "bar"
    return (
        f'<text x="{LEFT - 8}" y="{middle + 5:.0f}" text-anchor="end">{escape(name)}</text>'
        f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{value * scale:.1f}" height="{ROW - 8}" rx="2"/>'
        f'<line class="range" x1="{LEFT + ends[0]:.1f}" x2="{LEFT + ends[1]:.1f}" y1="{middle:.0f}" y2="{middle:.0f}"/>'
        f'<text x="{LEFT + max(value * scale, ends[1]) + 6:.1f}" y="{middle + 5:.0f}">{value:,.0f}</text>'
    )
