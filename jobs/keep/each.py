"""What a duty does for each queue, one by one: a queue whose keys cannot be used keeps none from the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from ..errors import QueueBroken

logger = logging.getLogger("jobs.keeper")

#: By duty and queue: what was told of it last.
_told: dict[tuple[str, str], str] = {}


def each_queue(duty: str, names: Iterable[str], do: Callable[[str], int]) -> int:
    """Do it for each queue; returns the sum. Of one that is broken it is told once."""
    done = 0
    for name in names:
        try:
            done += do(name)
        except QueueBroken as error:
            if _told.get((duty, name)) != str(error):
                logger.error("queue_broken queue=%s duty=%s: %s", name, duty, error)
            _told[duty, name] = str(error)
        else:
            if _told.pop((duty, name), None):
                logger.info("queue_works_again queue=%s duty=%s", name, duty)
    return done
