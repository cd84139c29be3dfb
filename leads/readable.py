"""What arrives from outside is any text; here is what a database, a page and a mail can hold of it."""

from __future__ import annotations


def readable(text: str) -> str:
    """The text with what no database stores, NUL and half a character (a lone surrogate), written as an escape."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def is_storable(text: str) -> bool:
    """Whether a database can hold the text as it is."""
    return readable(text) == text
