"""Commands as Redis reads them (the RESP protocol): the words that many calls share are packed once.

The client packs each word of each command anew; of a script's call two thirds are the queue's keys.
"""

from __future__ import annotations

from typing import NamedTuple


class Packed(NamedTuple):
    """Words of a command, packed: how many they are, and their bytes."""

    number: int
    content: bytes


Word = bytes | str | int | Packed


def pack_words(*words: Word) -> Packed:
    """Pack words; some may be packed already. Texts are sent as UTF-8, numbers in decimal."""
    count, parts = 0, []
    for word in words:
        if type(word) is Packed:
            count += word.number
            parts.append(word.content)
        else:
            content = word if type(word) is bytes else str(word).encode()
            count += 1
            parts.append(b"$%d\r\n%b\r\n" % (len(content), content))
    return Packed(count, b"".join(parts))


def pack_command(*words: Word) -> bytes:
    """One command as it goes over the wire."""
    count, content = pack_words(*words)
    return b"*%d\r\n%b" % (count, content)
