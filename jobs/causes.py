"""Why a module cannot be imported, in one line."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator

#: How many errors, each the cause of the one before, are told.
CAUSES_TOLD = 3
ENGINE = os.path.dirname(__file__) + os.sep


def told(error: BaseException) -> str:
    """The error and its causes, each with the line where it was raised."""
    return ", because of ".join(_each(error))


def _each(error: BaseException) -> Iterator[str]:
    cause: BaseException | None = error
    for _number in range(CAUSES_TOLD):
        if cause is None:
            return
        said = f"SyntaxError: {cause.msg}" if isinstance(cause, SyntaxError) else _line_of(cause)
        frames = [one for one in traceback.extract_tb(cause.__traceback__) if not one.filename.startswith("<")]
        # where the engine refuses something, the line that asked for it
        frames = [one for one in frames if not one.filename.startswith(ENGINE)] or frames
        place = (frames[-1].filename, frames[-1].lineno) if frames else None
        if isinstance(cause, SyntaxError):
            place = (cause.filename or "?", cause.lineno)
        yield f"{said} ({place[0]}, line {place[1]})" if place else said
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _line_of(error: BaseException) -> str:
    return " ".join("".join(traceback.format_exception_only(error)).split())
