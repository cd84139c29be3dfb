"""Measures this project beside other job systems.

    make bench                                   all systems, three rounds: about an hour
    make bench ARGS="--quick --json"             ours, BullMQ, Oban and Huey, one round: less than five minutes
    make bench ARGS="--rest"                     what --quick leaves out, with its amounts: about fifteen minutes
    make bench ARGS="--only bullmq --only huey-processes --rounds 5"
    make bench ARGS="--merge one.json two.json --save both.json"   where both measured the same, the later one counts
    make bench ARGS="--compare old.json new.json"  what moved beyond the noise between two saved runs
    make bench ARGS="--readme saved.json"        put a saved run into bench/README.md and docs/brokers.md; draw it

Each run is saved as var/peers/last.json, or where --save says.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

from .environments import FOLDER
from .measures import QUICK, Amounts
from .publish import publish
from .report import Document, compared, document, merged, table, words
from .rounds import measure
from .systems import SYSTEMS

_BEGAN = time.monotonic()


def main() -> None:
    """Measure, or compare, and print."""
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [system.name for system in SYSTEMS]
    some = parser.add_mutually_exclusive_group()
    some.add_argument("--quick", action="store_true", help="ours, BullMQ, Oban and Huey; one round")
    some.add_argument("--rest", action="store_true", help="what --quick leaves out: lost, twice, cost_1m, the others")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.add_argument("--only", action="append", choices=names, help="this system; may be repeated")
    parser.add_argument("--rounds", type=int, help="default: 3, with --quick 1")
    parser.add_argument("--jobs", type=int, help="jobs of a load (default: 10,000)")
    parser.add_argument("--save", type=Path, default=FOLDER / "last.json", help="keep the document in this file")
    parser.add_argument("--merge", nargs="+", type=Path, metavar="SAVED", help="make one document of these")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("OLD", "NEW"), help="two saved documents")
    parser.add_argument("--readme", type=Path, metavar="SAVED", help="put a saved document into the docs, and draw it")
    options = parser.parse_args()
    if options.readme:
        publish(_saved(options.readme))
        return
    if options.compare:
        print(compared(*map(_saved, options.compare)))
        return
    made = merged([_saved(path) for path in options.merge]) if options.merge else _measured(options)
    options.save.parent.mkdir(parents=True, exist_ok=True)
    options.save.write_text(json.dumps(made, indent=1), encoding="utf-8")
    print(json.dumps(made, indent=1) if options.json else f"{table(made)}\n\n{words(made)}")


def _measured(options: argparse.Namespace) -> Document:
    systems = [
        system
        for system in SYSTEMS
        if (system.name in options.only if options.only else system.quick or not options.quick)
    ]
    brief = options.quick or options.rest
    amounts = QUICK if brief else Amounts()
    if options.jobs:
        amounts = replace(amounts, jobs=options.jobs)
    rounds = options.rounds or (1 if brief else 3)
    load_before = os.getloadavg()[0]
    only_rare = [system.name for system in systems if system.quick] if options.rest else []
    found = measure(systems, rounds, amounts, rare=not options.quick, show=_bar, only_rare=only_rare)
    _bar(1, 1, "")
    return document(found, rounds, amounts, load_before)


def _saved(path: Path) -> Document:
    read: Document = json.loads(path.read_text(encoding="utf-8"))
    return read


def _bar(done: int, steps: int, what: str) -> None:
    """Draw how far it is, over the last drawing, on a terminal; elsewhere a line for each step, and when it began."""
    if not sys.stderr.isatty():
        if what:
            minutes, seconds = divmod(round(time.monotonic() - _BEGAN), 60)
            print(f"{minutes:>3}:{seconds:02}  {done * 100 // steps:>3} %  {what}", file=sys.stderr, flush=True)
        return
    width, columns = 24, shutil.get_terminal_size().columns
    full = round(width * done / steps)
    line = f"[{'#' * full}{'.' * (width - full)}] {done * 100 // steps:>3} %  {what}"
    sys.stderr.write("\r\x1b[K" + (line[: columns - 1] if what else ""))
    sys.stderr.flush()


if __name__ == "__main__":
    main()
