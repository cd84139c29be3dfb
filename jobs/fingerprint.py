"""What dead letters are grouped by: the task, and a fingerprint of the error that is the same wherever it is made.

As Sentry groups: by the kind of the exception and the last frame of the project's own code, without line numbers, so
that an edit above it makes no new cause; and by the words of the message, without what differs from one failure to the
next. It is made of the kept texts alone: the settle, the merge of facts and the keeper, which looks at older rows, give
the same answer in any process and on any Python. Nothing can be read from it: it is a hash, and values are left out.
"""

from __future__ import annotations

import re
from hashlib import sha256

#: Changes with the rules below; what was grouped before keeps its cause.
RULES = "1"
#: Hexadecimal digits of a cause.
DIGITS = 16
#: Characters of a message that are looked at, and of its words that count.
MOST_READ, MOST_COUNTED = 4_000, 200
#: A cause as people type it.
CAUSE = re.compile(rf"[0-9a-f]{{{DIGITS}}}\Z")

_KIND = re.compile(r"([A-Za-z_][\w.]*)(?:: (.*))?\Z", re.DOTALL)
_QUOTED = re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`|“[^”]*”|«[^»]*»")
_BETWEEN_WORDS = re.compile(r"([^\w.+-]+)")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F-]{8,}\Z")
_SEVERAL = re.compile(r"(?:#[\s,;:/()\[\]]*)+")
_CHAINED = re.compile(
    "During handling of the above exception, another exception occurred:"
    "|The above exception was the direct cause of the following exception:"
)
_FRAME = re.compile(r'^[ \t|+]*File "([^"\n]+)", line \d+, in (.+)$', re.MULTILINE)
#: Python since 3.12 has no frame for them.
_INLINED = {"<listcomp>", "<setcomp>", "<dictcomp>"}
#: What is not the project's: installed packages, Python itself, and this engine where it is not installed.
_FOREIGN = re.compile(
    r"/(?:site|dist)-packages/|/lib(?:64)?/python3[.\d]*t?/|^<|"
    r"/jobs/(?:define|enqueue|broker|supervise|work|keep|history|operate|admin|management)/"
)


def cause_of(task: str, error: str, traceback: str = "") -> str:
    """The cause of a dead letter, hexadecimal digits: the same for failures of a task that differ in values only."""
    kind, message = _split(error[:MOST_READ])
    words = (RULES, task, kind, _without_values(message)[:MOST_COUNTED], _place(traceback))
    return sha256("\n".join(words).encode("utf-8", "replace")).hexdigest()[:DIGITS]


def without_values(error: str) -> str:
    """The error with `#` in place of every value: what may leave the site, since no person's data is in it."""
    kind, message = _split(error[:MOST_READ])
    words = _without_values(message)[:MOST_COUNTED]
    return f"{kind}: {words}" if kind and words else kind or words


def is_foreign(path: str) -> bool:
    """Whether a frame's file is not the project's: a package, Python itself, or this engine."""
    return bool(_FOREIGN.search(path.replace("\\", "/")))


def _split(error: str) -> tuple[str, str]:
    """The exception's type and its message; no type where the engine itself says what happened."""
    found = _KIND.match(error)
    return (found[1], found[2] or "") if found else ("", error)


def _without_values(message: str) -> str:
    """The message's words: values in quotes, addresses, numbers and ids are all the same."""
    # what PostgreSQL stores for a NUL
    text = _QUOTED.sub("#", message.replace("\0", "\\0"))
    text = " ".join("#" if "@" in word or "://" in word else word for word in text.split())
    text = "".join("#" if _is_value(word) else word for word in _BETWEEN_WORDS.split(text))
    return " ".join(_SEVERAL.sub("# ", text).split())


def _is_value(word: str) -> bool:
    return any(map(str.isdigit, word)) or bool(_HEXADECIMAL.match(word))


def _place(traceback: str) -> str:
    """The last frame of the project's own code, else the last one: the ends of its path and its function's name.

    Only of the exception that was raised last: what it was raised from may differ.
    """
    last = _CHAINED.split(traceback.replace("\\", "/"))[-1]
    frames = [(path, name.strip()) for path, name in _FRAME.findall(last) if name.strip() not in _INLINED]
    own = [frame for frame in frames if not is_foreign(frame[0])]
    if not frames:
        return ""
    path, name = (own or frames)[-1]
    # a release may stand in a folder of its own
    return f"{'/'.join(path.split('/')[-2:])} {name}"
