"""Facts of a broker that is not the rows become rows, attempts and counters, in few statements for many (G9).

A fact holds the job as it was before the step, so that a row need not have been there. Facts of an older run than the
row's change nothing but the counters. A job of which retention keeps nothing is only counted; it may have a row, of the
outbox or of an earlier fact, and then that goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from django.db import connections, transaction

from .. import reasons
from ..broker.contract import Broker
from ..broker.database import causes, edges, merged
from ..broker.database.merged import AttemptRow, Row
from ..broker.database.outcomes import ATTEMPT_OUTCOME
from ..broker.database.pending import note_elsewhere
from ..broker.database.rows import Cursor, add_counts_of_hour
from ..broker.database.values import MAX_REASON, text_of_tags
from ..broker.facts import Fact, FactPage, Recorded, Rest, Start, Step
from ..broker.records import Completed, Failed, GivenUp, Retried
from ..conf import jobs_settings
from ..faults import point
from ..models import AttemptOutcome, Job, QueueState
from ..policy import QueuePolicy, Retention
from ..states import ENDED, LIVE, State
from . import markers
from .dead_letters import rows_of_causes
from .fact_counts import counts_of

#: Facts that the broker looks at in one step: others wait for it meanwhile.
LOOK = 500
#: Facts a transaction: those that cost a row, and all.
ROWS, FACTS = 1_000, 5_000
#: Positions that are kept of lives that were read before the present one.
MOST_FORMER = 6
#: What is noted in place of a queue's life where its store has lost what the history holds.
LOST = "lost"


def catch_up(broker: Broker, policy: QueuePolicy, most: int = 1, *, calm: float = 0.0, age: float = 0.0) -> int:
    """Let the history hold what the broker tells of a queue, in so many transactions at most; returns how many facts.

    At least one where some are too young for now. `calm` and `age`: see `Broker.read_facts`. Any number of processes
    may do so at once. Nothing on a broker whose rows are the queue.
    """
    taken, waits = 0, False
    for _transaction in range(most):
        known = position(policy.name)
        pages, waits = _read(broker, policy, known, calm, age)
        if pages and known[0] and (former := _former(policy.name, known[0], pages[0].generation)):
            # two servers are read in turn: jobs move from one to the other, or a fail-over left two primaries
            known = former
            pages, waits = _read(broker, policy, known, calm, age)
        if not pages:
            break
        note_elsewhere(connections[jobs_settings().database], policy.name, broker.store)
        point("merge.before_commit")
        if merge(policy.name, known, pages):
            taken += sum(map(_size, pages))
            point("merge.after_commit")
        if not pages[-1].more:
            break
    return taken or int(waits)


def position(queue: str) -> tuple[str, str]:
    """Up to where the history holds the queue's facts: the store's generation, and the position in it."""
    rows = QueueState.objects.using(jobs_settings().database).filter(queue=queue)
    return rows.values_list("generation", "merged").first() or ("", "")


def write(queue: str, facts: Sequence[Fact]) -> None:
    """Write facts that no store tells again."""
    alias = jobs_settings().database
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        _write(cursor, queue, [FactPage("", "", tuple(facts))])


def row_of(recorded: Recorded) -> Job:
    """A row for a job that has none; its state is not set."""
    values = msgspec.structs.asdict(_new_row(recorded, State.PENDING))
    return Job(stored_priority=values.pop("priority"), **values)


def is_one_store(generation: str, other: str) -> bool:
    """Whether two generations are lives of one store that was not wiped in between."""
    return generation[:16] == other[:16]


def merge(queue: str, known: tuple[str, str], pages: Sequence[FactPage]) -> bool:
    """Write pages of facts and the position behind them in one transaction; False: another keeper was faster.

    `known` is the position from which they were read.
    """
    alias, last = jobs_settings().database, pages[-1]
    states = QueueState.objects.using(alias)
    with transaction.atomic(using=alias):
        held, _created = states.select_for_update().get_or_create(queue=queue)
        present = held.generation, held.merged
        if known != present and known not in _pairs(held.former):
            return False
        with connections[alias].cursor() as cursor:
            _write(cursor, queue, pages)
        changes = {"generation": last.generation, "merged": last.last}
        if present[0] and present[0] != last.generation:
            changes["former"] = _with_former(held.former, present, pages[0])
        if any(page.has_lost for page in pages):  # from here on nobody else can tell: the duty `recover` sees to it
            changes["life"] = LOST
        states.filter(queue=queue).update(**changes)
    return True


def _former(queue: str, known: str, generation: str) -> tuple[str, str] | None:
    """Up to where the history holds the facts of a life other than the known one, if it was read before that."""
    if generation == known:
        return None
    rows = QueueState.objects.using(jobs_settings().database).filter(queue=queue)
    former = _pairs(rows.values_list("former", flat=True).first() or "")
    same = [pair for pair in former if pair[0] == generation]
    if not same and not is_one_store(known, generation):
        same = [pair for pair in former if is_one_store(pair[0], generation)]
    return same[0] if same else None


def _with_former(former: str, present: tuple[str, str], page: FactPage) -> str:
    """The positions in other lives than the page's, the last one read first; what its server told of them is told."""
    positions: dict[str, str] = {}
    for generation, end in (present, *reversed(page.lives), *_pairs(former)):
        if generation != page.generation:
            positions[generation] = max(positions.get(generation, ""), end, key=_place)
    return " ".join(word for pair in list(positions.items())[:MOST_FORMER] for word in pair)


def _place(position: str) -> tuple[int, ...]:
    return tuple(map(int, position.split("-"))) if position else ()


def _pairs(former: str) -> list[tuple[str, str]]:
    words = former.split(" ") if former else []
    return list(zip(words[::2], words[1::2], strict=True))


def _read(
    broker: Broker, policy: QueuePolicy, known: tuple[str, str], calm: float, age: float
) -> tuple[list[FactPage], bool]:
    """As many pages as one transaction takes, none where nothing is new; and whether facts wait that are too young."""
    pages: list[FactPage] = []
    facts, keep, after, waits = 0, _kept(policy.retention), known, False
    while True:
        page = broker.read_facts(policy.name, *after, LOOK, keep=keep, calm=calm, age=age)
        waits = page is not None and page.calm
        # what another life of the store tells has a transaction of its own
        if page is None or (page.generation, page.last) == after or (pages and page.generation != after[0]):
            break
        pages.append(page)
        facts += len(page.facts)
        after = page.generation, page.last
        if not page.more or facts >= ROWS or len(pages) * LOOK >= FACTS:
            break
    return pages, waits


def _kept(retention: Retention) -> dict[State, int]:
    """What may be dropped at once: no dead letter."""
    return dict.fromkeys((State.COMPLETED, State.CANCELLED, State.EXPIRED), retention.completed)


def _vendor() -> str:
    return connections[jobs_settings().database].vendor


def _size(page: FactPage) -> int:
    return len(page.facts) + len(page.counters) + sum(len(dropped.ids) for dropped in page.dropped)


def _write(cursor: Cursor, queue: str, pages: Sequence[FactPage]) -> None:
    vendor, alias = _vendor(), jobs_settings().database
    dropped = [one for page in pages for one in page.dropped]
    for one in dropped:
        merged.drop(cursor, vendor, one.run, one.ids)
        edges.end_dropped(cursor, vendor, one.run, list(one.ids), one.state, one.hour)
    gone = {id for one in dropped for id in one.ids}
    told: Sequence[Fact] = [fact for page in pages for fact in page.facts]
    marked = markers.of_ended(alias, [*gone, *(fact.job.hex for fact in told if fact.state in ENDED)])
    told = markers.as_marked(told, marked)
    facts = [fact for fact in told if fact.job.hex not in gone] if gone else told
    known: dict[UUID, Row] = {}
    if facts:
        known = merged.read_rows(cursor, vendor, {fact.job for fact in facts})
        rows, attempts, void = _fold(facts, known)
        merged.write_rows(cursor, vendor, *rows)
        causes.note_causes(cursor, vendor, rows_of_causes(facts, rows, void))
        merged.write_attempts(cursor, vendor, attempts)
        if void:
            told = [fact for fact in told if fact not in void]
    markers.note_ended(alias, marked)
    corrections = [markers.corrections(one, marked) for one in dropped if marked]
    for hour, counts in counts_of(pages, corrections, told, {id: row.task for id, row in known.items()}).items():
        add_counts_of_hour(cursor, vendor, queue, hour, counts)


#: What is said of a row that gave way to another job.
_GIVES_WAY = {Step.MERGED: reasons.MERGED, Step.REFUSED: reasons.DUPLICATE}


def _fold(
    facts: Sequence[Fact], known: Mapping[UUID, Row]
) -> tuple[tuple[list[Row], list[Row]], list[AttemptRow], list[Fact]]:
    """The rows that were there and the new ones, and the attempts, after these facts; and which say nothing."""
    rows = dict(known)
    attempts: list[AttemptRow] = []
    void: list[Fact] = []
    for fact in facts:
        row = rows.get(fact.job)
        if _is_noted(fact, row) or (row is not None and _is_of_an_ended_run(fact, row)):
            void.append(fact)
        elif (row := _row(row, fact)) is not None:
            rows[fact.job] = row
            attempts += _attempts(fact)
    new = [row for id, row in rows.items() if id not in known]
    return (list(known.values()), new), attempts, void


def _row(row: Row | None, fact: Fact) -> Row | None:
    """The job's row after a fact; None for a fact that says nothing of it."""
    before = fact.before
    if row is None:
        if before is None:
            return None
        row = _new_row(before, fact.state)
    elif not _tells_of(fact, row):
        return row
    if before is not None:
        _set_from(row, before)
        if fact.step is Step.CHANGED:
            merged.set_call(row, _new_row(before, fact.state))
    row.run, row.state = max(row.run, fact.run), fact.state.value
    row.token = fact.claim or row.token
    if fact.ready_at is not None:
        row.ready_at = fact.ready_at
    if fact.state in ENDED:
        row.ended_at = fact.at
    if fact.rest is not None:
        _set_from_rest(row, fact.rest)
        return row
    if fact.step in (Step.LOST, Step.INTERRUPTED):
        row.starts += 1
        row.lost += fact.step is Step.LOST
    if fact.start is not None:
        _set_from_start(row, fact, fact.start)
    elif fact.state is State.FAILED and fact.step is not Step.REFUSED:
        row.error = reasons.KILLED_WORKER % {"count": row.lost}
    if fact.state is State.CANCELLED:
        # what a job says that agreed wins over what the asker said
        said = fact.start.reason if fact.start and fact.start.outcome is GivenUp else ""
        row.reason = _text(said or fact.reason)[:MAX_REASON]
    if fact.step in _GIVES_WAY:
        text = _GIVES_WAY[fact.step] if fact.state is State.CANCELLED else reasons.RETRY_REFUSED
        row.reason = (text % {"holder": UUID(fact.reason)})[:MAX_REASON]
    return row


def _is_noted(fact: Fact, row: Row | None) -> bool:
    """Whether whoever gave the row to the broker has noted in it, and counted, that it gave way."""
    return fact.step is Step.REFUSED and (row is None or not _tells_of(fact, row))


def _is_of_an_ended_run(fact: Fact, row: Row) -> bool:
    """Whether the history holds the end that a worker gave to this run, and its store has lost that: no further start.

    Where a fail-over leaves two primaries, both run what waited: the end that is told first stands.
    """
    if fact.step is Step.DISCARDED:
        # or somebody has discarded the dead letter in the history itself, which has counted it
        return not _tells_of(fact, row)
    if row.state not in ENDED or fact.run != row.run:
        return False
    tells_of_a_start = fact.start is not None or fact.step in (Step.LOST, Step.INTERRUPTED)
    was_claimed = row.starts > 0 or (row.token > 0 and row.token == fact.claim)
    return was_claimed and (tells_of_a_start or fact.state in ENDED)


def _tells_of(fact: Fact, row: Row) -> bool:
    """Whether a fact says something of the row, as it is, that it does not hold yet."""
    if fact.step is Step.DISCARDED:
        # the broker takes no further run of it: one that was refused, or is on its way, goes with the dead letter
        return row.state in ({State.PENDING, State.FAILED} if row.run > fact.run else {*LIVE, State.FAILED})
    return fact.run > row.run or (fact.run == row.run and row.state not in ENDED)


def _new_row(before: Recorded, state: State) -> Row:
    job = before.job
    return Row(
        id=job.id,
        run=job.run,
        state=state.value,
        queue=job.queue,
        task=job.task,
        message=job.message,
        priority=job.priority,
        key=job.key,
        created_at=before.created_at,
        ready_at=job.ready_at or before.created_at,
        expires_at=job.expires_at,
        timed_at=before.timed_at,
        attempts=before.attempts,
        starts=before.starts,
        lost=before.lost,
        event=job.event,
        event_id=job.event_id,
        about_type=job.about[0] if job.about else "",
        about_id=job.about[1] if job.about else "",
        parent_id=job.parent_id,
        scope=job.scope,
        group=job.group,
        tags=text_of_tags(job.tags),
        lane=job.lane,
    )


def _set_from(row: Row, before: Recorded) -> None:
    job = before.job
    if job.run > row.run:
        # the next run of a dead letter begins afresh
        row.ended_at = row.started_at = None
        row.reason = ""
    row.ready_at, row.expires_at = job.ready_at or row.ready_at, job.expires_at
    row.attempts, row.starts, row.lost = before.attempts, before.starts, before.lost


def _set_from_rest(row: Row, rest: Rest) -> None:
    row.started_at, row.attempts, row.starts, row.lost = rest.started_at, rest.attempts, rest.starts, rest.lost
    row.error, row.reason = "", reasons.NOT_KEPT


def _set_from_start(row: Row, fact: Fact, start: Start) -> None:
    row.attempts += start.burns
    row.starts += start.started_at is not None
    row.started_at = _began_at(fact, start) or row.started_at
    if fact.state in ENDED:
        row.ended_at = _ended_at(fact, start)
    if start.outcome in (Retried, Failed):
        row.error, row.reason = _text(start.error), ""
    elif start.outcome is Completed:
        row.error, row.reason, row.result = "", "", start.result
    else:
        row.reason = _text(start.reason)[:MAX_REASON]


def _began_at(fact: Fact, start: Start) -> datetime | None:
    return min(start.started_at, fact.at) if start.started_at is not None else None


def _ended_at(fact: Fact, start: Start) -> datetime:
    # never in the future: the clock may have been set back since the claim, or the worker's reading is a little ahead
    return min(start.ended_at or fact.at, fact.at)


def _attempts(fact: Fact) -> Iterable[AttemptRow]:
    start = fact.start
    if fact.step in (Step.LOST, Step.INTERRUPTED):
        outcome = AttemptOutcome.LOST if fact.step is Step.LOST else AttemptOutcome.INTERRUPTED
        yield AttemptRow(
            job=fact.job,
            run=fact.run,
            outcome=outcome.value,
            worker=fact.worker,
            claimed_at=fact.claimed_at,
            ended_at=fact.at,
        )
    elif start is not None and start.started_at is not None:
        yield AttemptRow(
            job=fact.job,
            run=fact.run,
            number=fact.before.attempts + 1 if start.burns and fact.before else None,
            outcome=ATTEMPT_OUTCOME[start.outcome],
            worker=fact.worker,
            claimed_at=start.claimed_at,
            started_at=_began_at(fact, start),
            ended_at=_ended_at(fact, start),
            error=_text(start.error or start.reason),
            traceback=_text(start.traceback),
        )


def _text(text: str) -> str:
    """PostgreSQL's text holds no NUL."""
    return text.replace("\0", "\\0")
