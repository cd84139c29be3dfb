"""Whether a group has room for new jobs that are not given to the broker by themselves: those of a transaction.

What others have not committed is not seen, so that no two transactions ever wait for each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from .. import clock
from ..broker import get_broker
from ..broker.database.statements import load_statements
from ..broker.database.values import text_of
from ..broker.records import NewJob
from ..errors import BrokerAway, GroupFull
from .outbox import is_away, note_away, note_here


def check_room(connection: BaseDatabaseWrapper, jobs: Sequence[NewJob]) -> None:
    """Raise `GroupFull` where more of a group would wait with these jobs than their queue allows.

    What the broker has counts, and what is on its way there. While a broker outside the database is away, only that.
    """
    now = clock.now()
    due = [job for job in jobs if job.group_max is not None and job.is_due(now)]
    most = {(job.queue, job.group): job.group_max or 0 for job in due}
    # of a sequence one waits at a time
    counted = {(job.queue, job.group, job.sequence or job.id) for job in due}
    for (queue, group), number in sorted(Counter((queue, group) for queue, group, _ in counted).items()):
        allowed = most[queue, group]
        room = allowed - number
        if room >= 0:
            room -= _at_broker(queue, group, room + 1)
        if room >= 0:
            room -= _on_the_way(connection, queue, group, room + 1)
        if room < 0:
            raise GroupFull(queue, group, allowed)


def _at_broker(queue: str, group: str, most: int) -> int:
    broker = get_broker()
    if is_away():
        return 0
    try:
        number = broker.count_group(queue, group, most)
    except BrokerAway:
        if broker.rows_are_the_queue:
            raise
        note_away()
        return 0
    note_here()
    return number


def _on_the_way(connection: BaseDatabaseWrapper, queue: str, group: str, most: int) -> int:
    statement = load_statements(connection.vendor)["count_pending_of_group"]
    values: dict[str, str | int] = {"queue": queue, "group": group, "most": most, "now": text_of(clock.now())}
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.fetchone()[0])
