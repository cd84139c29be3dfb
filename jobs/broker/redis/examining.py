"""Looking for what is in no state, and forgetting a whole queue; see `lua/examine.lua` and `lua/wipe.lua`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from .scripts import Scripts, decode
from .values import word

#: Names that are read, and looked at, in one step.
STEP = 1_000
#: What is looked for, in which keys.
_WHERE = {
    "unplaced": ("jobs",),
    "vanished": ("waiting", "lanes", "due", "alone", "active"),
    "stray_hold": ("held",),
    "stray_key": ("keys",),
    "stray_ask": ("asked",),
    "stray_end": ("expiring",),
}
#: What has a meaning in a pattern.
_UNLIKE = re.compile(r"[\\*?\[\]^]")
_ORDERED = frozenset({"waiting", "lanes", "due", "alone", "held", "expiring"})


class Examining:
    """The broker's part in `jobs doctor` and `jobs obliterate`."""

    _scripts: Scripts

    def examine(self, queue: str, *, mend: bool = False) -> Mapping[str, int]:
        """What is in no state, in numbers; see the contract."""
        found: dict[str, int] = {}
        for what, keys in _WHERE.items():
            for names in (names for key in keys for names in self._names(queue, key)):
                words = list(map(word, names))
                wrong = decode(self._scripts.run("examine", queue, mend=mend, what=what, names=words))
                found[what] = found.get(what, 0) + wrong
        return {what: count for what, count in found.items() if count}

    def wipe(self, queue: str, *, force: bool = False, whole: bool = False) -> int | None:
        """Forget all that is kept of a queue; see the contract."""
        answer: int | None = decode(self._scripts.run("wipe", queue, force=force, whole=whole))
        if whole:
            self._drop_throttles(queue)
        return answer

    def _drop_throttles(self, queue: str) -> None:
        """Each is a key of its own, so all keys of the server are gone through."""
        pattern, cursor = _UNLIKE.sub(r"\\\g<0>", self._scripts.key(queue, "throttle:")) + "*", b"0"
        while True:
            with self._scripts.server.reaching():
                cursor, found = self._scripts.server.call("SCAN", cursor, "MATCH", pattern, "COUNT", STEP)
                if found:
                    self._scripts.server.call("UNLINK", *found)
            if int(cursor) == 0:
                return

    def _names(self, queue: str, key: str) -> Iterator[Sequence[bytes]]:
        """The members or fields of one key, some at a time."""
        command = "ZSCAN" if key in _ORDERED else "HSCAN"
        cursor = b"0"
        while True:
            cursor, found = self._scripts.command(command, queue, key, cursor, "COUNT", STEP)
            for start in range(0, len(found), 2 * STEP):
                yield found[start : start + 2 * STEP : 2]
            if int(cursor) == 0:
                return
