"""A traceback as people read it: the project's own frames in sight, runs of others' frames folded between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from django.utils.translation import ngettext

from ..fingerprint import is_foreign

_FRAME = re.compile(r'^(?P<indent>[ \t|+]*)File "(?P<file>[^"\n]+)", line (?P<line>\d+)(?:, in (?P<name>.+))?$')
#: Of a file's path, so many of its last parts are named.
PARTS = 2


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of a traceback that belong together.

    `kind` is *own* (frames of the project), *foreign* (frames of packages, of Python and of the engine; `summary` says
    of how many) or *text* (what stands between frames, and the error itself).
    """

    kind: str
    text: str
    summary: str = ""


def blocks_of(traceback: str) -> list[Block]:
    """The traceback in its order, from the outermost call to the error."""
    found = []
    for kind, lines in groupby(_lines(traceback), key=lambda line: line[0]):
        texts = [text for _kind, text, _at in lines]
        frames = sum(map(_is_frame, texts))
        summary = ngettext("%(count)d frame of others", "%(count)d frames of others", frames) % {"count": frames}
        found.append(Block(kind, "\n".join(texts), summary if kind == "foreign" else ""))
    return found


def place(traceback: str) -> str:
    """Where it went wrong: the innermost frame of the project's own code, else the innermost of all."""
    frames = [frame for line in traceback.split("\n") if (frame := _FRAME.match(line)) is not None]
    own = [frame for frame in frames if not is_foreign(frame["file"])]
    chosen = (own or frames)[-1:]
    return "".join(f"{short(f['file'])}:{f['line']} in {f['name']}" for f in chosen)


def short(path: str) -> str:
    """The end of a file's path."""
    return "/".join(path.replace("\\", "/").split("/")[-PARTS:])


def _lines(traceback: str) -> Iterator[tuple[str, str, int]]:
    """Each line with the kind of the block that it is in."""
    kind, deep = "text", 0
    for number, line in enumerate(traceback.rstrip("\n").split("\n")):
        if (frame := _FRAME.match(line)) is not None:
            kind, deep = "foreign" if is_foreign(frame["file"]) else "own", len(frame["indent"])
        # below a frame stands its source, one step deeper, and what was repeated
        elif (
            kind != "text"
            and not (line[: deep + 1].strip(" \t|") == "" and len(line) > deep + 1)
            and (not line.lstrip(" \t|").startswith("[Previous line repeated"))
        ):
            kind = "text"
        yield kind, line, number


def _is_frame(line: str) -> bool:
    return _FRAME.match(line) is not None
