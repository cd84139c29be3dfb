"""What is worth saying of the engine, and where the limits are that make it so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Finding:
    """Something worth saying; `needs_person` when `jobs status --check` must fail. `code` is for machines.

    `since`: since when it is so, where that is known. `address`: the page of the admin on which it is mended; the
    findings of the engine itself have none, their pages are the admin's.
    """

    code: str
    queue: str
    text: str
    needs_person: bool = True
    since: datetime | None = None
    address: str = ""


@dataclass(frozen=True)
class Limits:
    """From where on a person is asked to look; times in seconds. docs/operations.md explains each.

    `oldest_waiting`: how long a due job may wait; `oldest_pending`: how long an accepted one may be on its way to the
    broker; `history_lag`: how far the history may be behind; `keeper_silent`: how long a keeper may need for its
    duties; `lease_lag`: how long an ended lease may wait for a reaper, on top of one lease; `news_dropped`: for how
    long it is told that a worker has dropped news of its jobs; `clock_offset`: between a machine's clock and the
    database's;
    `oldest_transaction`: how long one may be open, and where its age cannot be seen, `oldest_snapshot`: how many
    transactions it may lag behind, as a standby's query and a replication slot may; `dead_rows`, `dead_share`,
    `unvacuumed`: a table has more dead rows than this and than this share of its live ones, and was not vacuumed for so
    long; `dead_rows_in_vain`: it has so many whenever it was vacuumed; `write_ahead_log`: bytes of SQLite's log.
    """

    oldest_waiting: float = 300.0
    oldest_pending: float = 60.0
    history_lag: float = 60.0
    keeper_silent: float = 60.0
    lease_lag: float = 60.0
    news_dropped: float = 3600.0
    clock_offset: float = 1.0
    oldest_transaction: float = 300.0
    oldest_snapshot: int = 1_000_000
    dead_rows: int = 100_000
    dead_rows_in_vain: int = 1_000_000
    dead_share: float = 0.2
    unvacuumed: float = 600.0
    write_ahead_log: int = 64 * 1024 * 1024


LIMITS = Limits()
