"""What is kept of an exception: its line and its traceback, without personal data and fit for any store."""

from __future__ import annotations

import traceback as tracebacks

from ..define.masks import NO_MASK, Mask
from ..visible import visible

MAX_ERROR = 2_000
MAX_TRACEBACK = 32_000
#: What is read of a text at each end before it is masked; far from where it is cut for good.
MAX_READ = 4 * MAX_TRACEBACK


def line_of(error: BaseException, mask: Mask = NO_MASK) -> str:
    """The exception's type and message in one line; an exception that cannot say anything is named all the same."""
    name = type(error).__name__
    try:
        text = str(error)
    except BaseException as broken:  # whatever a task's own exception does, it must not break the worker
        text = f"<its text cannot be read: {type(broken).__name__}>"
    text = visible(" ".join(mask(_readable(text)).split()))
    line = f"{name}: {text}" if text else name
    return line if len(line) <= MAX_ERROR else f"{line[: MAX_ERROR - 3]}..."


def trace_of(error: BaseException, mask: Mask = NO_MASK) -> str:
    """The exception's traceback, without local variables; the middle of a huge one is left out."""
    try:
        text = "".join(tracebacks.format_exception(error))
    except BaseException as broken:  # as above
        text = "".join(tracebacks.format_tb(error.__traceback__)) + f"<no more of it: {type(broken).__name__}>"
    # first the mask, then the cut: half a secret would not be recognised
    text = visible(mask(_readable(text)), keep="\n\t")
    if len(text) <= MAX_TRACEBACK:
        return text
    half = MAX_TRACEBACK // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"


def _readable(text: str) -> str:
    return text if len(text) <= 2 * MAX_READ else f"{text[:MAX_READ]}\n[...]\n{text[-MAX_READ:]}"
