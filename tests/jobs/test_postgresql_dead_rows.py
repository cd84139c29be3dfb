"""What a process on PostgreSQL remembers of where a queue's due jobs begin."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs import clock
from jobs.broker.database.postgresql.dead_rows import GIVEN, LONGEST, SLACK, DeadRows, Seen

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LONG, SHORT = 0.010, 0.001
ALL = set(GIVEN)


@pytest.fixture
def monotonic(monkeypatch):
    """A clock that stands until it is moved."""
    times = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: times[0])

    def advance(seconds):
        times[0] += seconds

    return advance


@pytest.fixture
def dead_rows(monotonic):
    return DeadRows()


def bounded(dead_rows):
    """Where a walk begins now, for each priority with a bound that is not overdue."""
    return {priority: moment for priority, moment in dead_rows.bounds(walk=True).since.items() if moment is not None}


def claim(dead_rows, seconds=LONG, *, jobs=0, reached=ALL, now=NOON, returns=0, bounds=None):
    bounds = dead_rows.bounds() if bounds is None else bounds
    due = dead_rows.note(Seen(bounds, returns, dict.fromkeys(reached, now), jobs, seconds))
    return bounds, due


def look(dead_rows, *, jobs):
    return dead_rows.note(Seen(dead_rows.bounds(), 0, dict.fromkeys(GIVEN, NOON), jobs, SHORT, looked=True))


def test_one_long_walk_sets_no_bounds(dead_rows):
    claim(dead_rows)
    assert bounded(dead_rows) == {}


def test_two_long_walks_in_a_row_do(dead_rows):
    claim(dead_rows)
    claim(dead_rows)
    assert bounded(dead_rows) == dict.fromkeys(ALL, NOON - SLACK)


def test_a_short_walk_between_them_starts_the_count_anew(dead_rows):
    for seconds in (LONG, SHORT, LONG):
        claim(dead_rows, seconds)
    assert bounded(dead_rows) == {}


def test_the_bounds_move_on_with_each_claim(dead_rows):
    claim(dead_rows)
    claim(dead_rows)
    later = NOON + timedelta(seconds=1)
    claim(dead_rows, SHORT, now=later)
    assert bounded(dead_rows) == dict.fromkeys(ALL, later - SLACK)


@pytest.mark.parametrize(("seconds", "length"), [(0.010, 0.2), (1.0, LONGEST)])
def test_a_walk_without_bounds_is_due_after_twenty_times_its_length_and_within_five_seconds(
    dead_rows, monotonic, seconds, length
):
    claim(dead_rows, seconds)
    claim(dead_rows, seconds)
    monotonic(length - 0.001)
    assert not look(dead_rows, jobs=0)
    assert bounded(dead_rows).keys() == ALL
    monotonic(0.002)
    assert look(dead_rows, jobs=0)
    assert bounded(dead_rows) == {}


def test_one_very_long_walk_sets_bounds_no_longer_than_the_other_deserves(dead_rows, monotonic):
    claim(dead_rows, LONG)
    claim(dead_rows, 100 * LONG)
    monotonic(0.201)
    assert look(dead_rows, jobs=0)


def test_after_a_claim_that_brought_nothing_the_bounds_hold_for_one_more(dead_rows, monotonic):
    claim(dead_rows)
    claim(dead_rows)
    monotonic(60)
    bounds, due = claim(dead_rows, SHORT, jobs=1)
    assert (bounds.since.keys(), due) == (ALL, False)
    bounds, _ = claim(dead_rows, SHORT)
    assert set(bounds.since.values()) == {None}


def test_the_walk_that_is_due_comes_when_a_statement_found_nothing(dead_rows, monotonic):
    claim(dead_rows)
    claim(dead_rows)
    monotonic(60)
    bounds, due = claim(dead_rows, SHORT)
    assert (set(bounds.since.values()), due) == ({NOON - SLACK}, True)
    assert set(dead_rows.bounds(walk=True).since.values()) == {None}


@pytest.mark.parametrize("due", [0, 1])
def test_a_look_leaves_the_next_claim_its_bounds_whatever_it_finds(dead_rows, monotonic, due):
    claim(dead_rows)
    claim(dead_rows)
    monotonic(60)
    look(dead_rows, jobs=due)
    assert set(dead_rows.bounds().since.values()) == {NOON - SLACK}


def test_a_priority_that_was_not_walked_gets_no_bound_and_keeps_the_one_it_has(dead_rows, monotonic):
    claim(dead_rows, reached={80, 0})
    claim(dead_rows, reached={80, 0}, jobs=1)
    assert bounded(dead_rows).keys() == {80, 0}
    monotonic(0.1)
    claim(dead_rows, reached={80}, now=NOON + timedelta(seconds=1), jobs=1)
    assert bounded(dead_rows) == {80: NOON + timedelta(seconds=1) - SLACK, 0: NOON - SLACK}


def test_short_claims_that_end_before_a_priority_do_not_hide_its_long_walks(dead_rows):
    for _ in range(2):
        claim(dead_rows, LONG)
        claim(dead_rows, SHORT, jobs=1, reached={80})
    assert bounded(dead_rows)[0] == NOON - SLACK


def test_a_job_that_came_back_makes_all_bounds_void_those_of_priorities_not_walked_too(dead_rows):
    claim(dead_rows)
    claim(dead_rows)
    bounds, _ = claim(dead_rows, SHORT, reached={80}, jobs=1, returns=7)
    assert bounds.returns == 0
    assert (bounded(dead_rows), dead_rows.bounds().returns) == ({}, 7)
    assert set(dead_rows.bounds().since.values()) == {None}


def test_a_claim_that_found_the_bounds_void_counts_as_one_without(dead_rows):
    claim(dead_rows)
    claim(dead_rows)
    claim(dead_rows, LONG, returns=7)
    assert bounded(dead_rows).keys() == ALL
    assert dead_rows.bounds().returns == 7


def test_a_claim_that_was_not_possible_teaches_nothing(dead_rows):
    claim(dead_rows)
    claim(dead_rows)
    assert not dead_rows.note(None)
    assert bounded(dead_rows).keys() == ALL
