"""Texts of strangers on their way to a terminal, a log line or a page: what would steer it is written out."""

from __future__ import annotations

import re

# control characters of both sets, what changes the direction of writing, line ends of Unicode, half surrogate pairs
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str, keep: str = "") -> str:
    """The text with each character that would steer a terminal or end a line written as an escape, but for `keep`."""
    return _STEERING.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def _escaped(character: str) -> str:
    return ascii(character)[1:-1]


def visible_json(text: str) -> str:
    """A JSON document with such characters as JSON escapes; its own line ends stay."""
    return _STEERING.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)
