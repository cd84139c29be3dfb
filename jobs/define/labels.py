"""The names by which people find jobs again: tags, and the group that a job belongs to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..broker.lanes import LONGEST_GROUP
from ..errors import InvalidOption, InvalidTask
from ..policy import Breaker, Limit
from .reference import is_storable

#: Tags of one job, characters of each, and of all together as they are stored; characters of a sequence's name.
MOST_TAGS, LONGEST_TAG, LONGEST_TAGS, LONGEST_SEQUENCE = 10, 100, 500, 100


def checked_tags(tags: Any) -> tuple[str, ...]:
    """Tags, each once and in their order; raises `InvalidOption`."""
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise InvalidOption(f"tags={tags!r}: expected several texts: write ['import:42']")
    given = tuple(dict.fromkeys(map(checked_tag, tags)))
    if len(given) > MOST_TAGS or len(json.dumps(given, ensure_ascii=False)) > LONGEST_TAGS:
        raise InvalidOption(f"tags={given!r}: expected at most {MOST_TAGS}, of {LONGEST_TAGS} characters together")
    return given


def checked_tag(tag: Any) -> str:
    """One tag; raises `InvalidOption`. Without quotes and backslashes, so that SQL finds it in the stored list."""
    if not is_name(tag, LONGEST_TAG) or '"' in tag or "\\" in tag:
        wanted = f"a printable text of 1 to {LONGEST_TAG} characters without quotation marks and backslashes"
        raise InvalidOption(f"tag {tag!r}: expected {wanted}")
    return str(tag)


def checked_group(group: Any) -> str:
    """The name of a group; raises `InvalidOption`."""
    if not is_name(group, LONGEST_GROUP):
        raise InvalidOption(f"group={group!r}: expected a printable text of 1 to {LONGEST_GROUP} characters")
    return str(group)


def checked_limits(task: str, limits: Any) -> tuple[tuple[Limit, ...], tuple[Breaker, ...]]:
    """The limits and the breakers of a task, each once; raises `InvalidTask`."""
    given = tuple(limits) if isinstance(limits, (list, tuple)) else (limits,)
    wrong = [one for one in given if not isinstance(one, (Limit, Breaker))]
    if wrong or len({one.name for one in given}) < len(given):
        raise InvalidTask(
            f"task {task}: limits={limits!r}: expected one Limit or several of different names: "
            "limits=[Limit('hubspot', RateLimit(100, per=10)), Breaker('hubspot-away')]"
        )
    breakers = tuple(one for one in given if isinstance(one, Breaker))
    return tuple(one for one in given if isinstance(one, Limit)), breakers


def checked_sequence(sequence: Any) -> str:
    """The name of a sequence; raises `InvalidOption`."""
    if not is_name(sequence, LONGEST_SEQUENCE):
        raise InvalidOption(f"sequence={sequence!r}: expected a printable text of 1 to {LONGEST_SEQUENCE} characters")
    return str(sequence)


def is_name(text: Any, most: int) -> bool:
    """Whether it is a printable text of at most so many characters, and not blank."""
    return isinstance(text, str) and bool(text.strip()) and text.isprintable() and is_storable(text, most)
