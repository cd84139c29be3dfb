"""What a sub-command is, and the paper it writes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser, OutputWrapper

from jobs.visible import visible, visible_json


@dataclass(frozen=True)
class Paper:
    """Standard output: lines and tables for people, or one JSON document."""

    out: OutputWrapper
    as_json: bool

    def say(self, line: str) -> None:
        """Write one line."""
        self.out.write(visible(line))

    def text(self, lines: str) -> None:
        """Write a text that has lines of its own."""
        self.out.write(lines)

    def table(self, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
        """Write lines whose columns stand below each other; `heads` may be empty."""
        table = [[visible(text) for text in line] for line in ([heads] if heads else []) + list(lines)]
        widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))] if table else []
        for line in table:
            self.say("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())

    def record(self, content: Any) -> None:
        """Write one of many JSON documents, each on a line of its own."""
        self.say(json.dumps(content, default=_json_value))

    def flush(self) -> None:
        """Let a reader have what is written, whatever the output holds back: more may come much later."""
        self.out.flush()

    def clear(self) -> None:
        """Empty the terminal and begin at its top left; nothing where the output is none, or holds JSON."""
        if not self.as_json and self.out.isatty():
            self.out.write("", style_func=lambda text: f"\x1b[H\x1b[J{text}", ending="")

    def document(self, content: Any) -> None:
        """Write the one JSON document."""
        self.out.write(visible_json(json.dumps(content, indent=2, ensure_ascii=False, default=_json_value)))


@dataclass(frozen=True)
class Action:
    """A sub-command: its options, and what it does with them. `run` raises `JobsError` or `CommandError` to refuse."""

    name: str
    help: str
    add_arguments: Callable[[CommandParser], None]
    run: Callable[[Paper, Mapping[str, Any]], None]


def _json_value(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
