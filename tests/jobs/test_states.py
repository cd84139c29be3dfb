"""The table of legal moves, and that the SQL makes no other move."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.broker import database
from jobs.broker.database.statements import load_statements
from jobs.errors import IllegalMove
from jobs.states import ENDED, LIVE, MOVES, Shown, State, check_move, shown

SQL = sorted((Path(database.__file__).parent / "sqlite").glob("*.sql"))
ALL_SQL = [*SQL, *sorted((Path(database.__file__).parent / "postgresql").glob("*.sql"))]
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_every_state_is_live_or_ended_and_has_its_moves():
    assert set(State) == LIVE | ENDED
    assert not LIVE & ENDED
    assert set(MOVES) == {None, *State}


@pytest.mark.parametrize("old", [None, *State])
def test_check_move_follows_the_table(old):
    for new in State:
        if new in MOVES[old]:
            check_move(old, new)
        else:
            with pytest.raises(IllegalMove, match=f"cannot become {new}"):
                check_move(old, new)


def test_an_illegal_move_names_what_is_legal():
    with pytest.raises(
        IllegalMove, match="a job that is failed cannot become active; it can become blocked, cancelled, pending"
    ):
        check_move(State.FAILED, State.ACTIVE)
    with pytest.raises(IllegalMove, match="nothing: it has ended"):
        check_move(State.COMPLETED, State.QUEUED)


@pytest.mark.parametrize(
    ("state", "due_in", "attempts", "word"),
    [
        (State.QUEUED, 60, 0, Shown.SCHEDULED),
        (State.QUEUED, 0, 0, Shown.WAITING),
        (State.QUEUED, -60, 0, Shown.WAITING),
        (State.QUEUED, 60, 1, Shown.RETRYING),
        (State.QUEUED, -60, 2, Shown.RETRYING),
        (State.ACTIVE, -60, 1, Shown.ACTIVE),
        (State.PENDING, 60, 0, Shown.PENDING),
        (State.FAILED, -60, 3, Shown.FAILED),
    ],
)
def test_a_queued_job_is_called_by_its_due_time_and_attempts(state, due_in, attempts, word):
    assert shown(state, NOW + timedelta(seconds=due_in), attempts, NOW) is word


def moves_of(sql: str) -> set[tuple[State, State]]:
    """The moves that one UPDATE of jobs_job makes: each state it sets, from each state it demands."""
    text = re.sub(r"--[^\n]*", "", sql)
    if not re.match(r"\s*UPDATE jobs_job\b", text):
        return set()
    head, _, guard = text.partition("\nWHERE ")
    assigned = re.search(r"(?<![\w.])state = (CASE .*?\bEND\b|'\w+')", head, re.DOTALL)
    if assigned is None:
        return set()
    new = set(re.findall(r"(?:THEN|ELSE|=|^) ?'(\w+)'", "= " + assigned[1]))
    # the first demand on `state` outside a subquery is the guard of the updated row itself
    outside = re.sub(r"\((?!'|\s*')(?:[^()]|\([^()]*\))*\)", "()", guard)
    demanded = re.search(r"(?<![\w.])state (?:\|\| '' )?(?:= '(\w+)'|IN \(([^)]*)\))", outside)
    assert demanded, f"an UPDATE that sets the state without a guard on it: {sql}"
    old = {demanded[1]} if demanded[1] else set(re.findall(r"'(\w+)'", demanded[2]))
    return {(State(a), State(b)) for a in old for b in new}


@pytest.mark.parametrize("file", ALL_SQL, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_statement_makes_only_legal_moves(file):
    for old, new in moves_of(file.read_text("utf-8")):
        check_move(old, new)


def test_the_statements_make_the_moves_that_the_broker_needs():
    made = {move for file in SQL for move in moves_of(file.read_text("utf-8"))}
    to_the_outbox = {(state, State.PENDING) for state in (State.QUEUED, State.ACTIVE)}
    by_other_rooms = {
        (State.PENDING, State.FAILED),  # pending.end_pending
        (State.QUEUED, State.FAILED),  # made of a claim and a settle
    }
    assert made == {(old, new) for old in State for new in MOVES[old]} - to_the_outbox - by_other_rooms


def test_the_guard_of_this_test_sees_an_illegal_move():
    assert moves_of("UPDATE jobs_job\nSET state = 'active'\nWHERE id = 1 AND state IN ('failed', 'queued')") == {
        (State.FAILED, State.ACTIVE),
        (State.QUEUED, State.ACTIVE),
    }
    with pytest.raises(AssertionError, match="without a guard"):
        moves_of("UPDATE jobs_job\nSET state = 'queued'\nWHERE id = 1")


@pytest.mark.parametrize("file", ALL_SQL, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_statement_opens_with_what_it_does(file):
    assert file.read_text("utf-8").startswith("-- ")
    assert re.match(r"[a-z]+(_[a-z]+)+\Z", file.stem)


@pytest.mark.parametrize("vendor", ["sqlite", "postgresql"])
def test_the_outbox_moves_only_pending_rows_and_dead_letters(vendor):
    statements = load_statements(vendor)
    assert "AND state = 'pending'" in statements["end_pending"]
    assert "SET state = 'pending'" in statements["start_next_run"]
    assert "AND state = 'failed'" in statements["start_next_run"]
