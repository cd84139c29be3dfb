"""A cursor that reads each SQL text once: psycopg looks for the parameters of a long one at every execution."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import psycopg

_PARAMETER = re.compile(r"%\((\w+)\)s")


class NamedCursor(psycopg.RawCursor[Any]):
    """A cursor whose statements name their parameters, as `%(queue)s`; `%%` is a percent sign."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Run one statement; `params`: its parameters by name, or none."""
        if not isinstance(params, Mapping):
            return super().execute(query, params, **options)
        text, names = _numbered(query)
        return super().execute(text, [params[name] for name in names], **options)

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        """Run one statement for each set of parameters."""
        text, names = _numbered(query)
        super().executemany(text, [[params[name] for name in names] for params in params_seq], **options)


@lru_cache(maxsize=256)
def _numbered(query: str) -> tuple[bytes, list[str]]:
    """The statement with numbers for its parameters, and their names by number."""
    names: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return f"${names.setdefault(found[1], len(names) + 1)}"

    return _PARAMETER.sub(number, query).replace("%%", "%").encode(), list(names)
