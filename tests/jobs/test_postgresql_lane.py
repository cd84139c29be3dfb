"""What a process on PostgreSQL remembers of where a queue's due jobs begin."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs import clock
from jobs.broker.database.postgresql.lane import GIVEN, LONGEST, SLACK, Lane, Seen

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
def lane(monotonic):
    return Lane()


def bounded(lane):
    """Where the next claim begins, for each priority with a bound."""
    return {priority: moment for priority, moment in lane.bounds().since.items() if moment is not None}


def claim(lane, seconds=LONG, *, jobs=0, reached=ALL, now=NOON, returns=0, bounds=None):
    bounds = lane.bounds(overdue=lane.idle) if bounds is None else bounds
    lane.note_claim(Seen(bounds, returns, dict.fromkeys(reached, now), jobs, seconds))
    return bounds


def test_one_long_walk_sets_no_bounds(lane):
    claim(lane)
    assert bounded(lane) == {}


def test_two_long_walks_in_a_row_do(lane):
    claim(lane)
    claim(lane)
    assert bounded(lane) == dict.fromkeys(ALL, NOON - SLACK)


def test_a_short_walk_between_them_starts_the_count_anew(lane):
    for seconds in (LONG, SHORT, LONG):
        claim(lane, seconds)
    assert bounded(lane) == {}


def test_the_bounds_move_on_with_each_claim(lane):
    claim(lane)
    claim(lane)
    later = NOON + timedelta(seconds=1)
    claim(lane, SHORT, now=later)
    assert bounded(lane) == dict.fromkeys(ALL, later - SLACK)


@pytest.mark.parametrize(("seconds", "length"), [(0.010, 0.2), (1.0, LONGEST)])
def test_a_walk_without_bounds_is_due_after_twenty_times_its_length_and_within_five_seconds(
    lane, monotonic, seconds, length
):
    claim(lane, seconds)
    claim(lane, seconds, jobs=1)
    monotonic(length - 0.001)
    assert not lane.overdue
    assert bounded(lane).keys() == ALL
    monotonic(0.002)
    assert lane.overdue
    assert bounded(lane) == {}


def test_one_very_long_walk_sets_bounds_no_longer_than_the_other_deserves(lane, monotonic):
    claim(lane, LONG)
    claim(lane, 100 * LONG)
    monotonic(0.201)
    assert lane.overdue


def test_after_a_claim_that_brought_nothing_the_bounds_hold_for_one_more(lane, monotonic):
    claim(lane)
    claim(lane)
    monotonic(60)
    assert claim(lane, SHORT, jobs=1).since.keys() == ALL
    assert set(claim(lane, SHORT).since.values()) == {None}


def test_a_look_that_finds_nothing_leaves_the_next_claim_its_bounds_and_one_that_finds_a_job_does_so_too(
    lane, monotonic
):
    claim(lane)
    claim(lane, jobs=1)
    assert not lane.idle
    lane.note_look(Seen(lane.bounds(), 0, dict.fromkeys(GIVEN, NOON), 0, SHORT))
    assert lane.idle
    lane.note_look(Seen(lane.bounds(), 0, dict.fromkeys(GIVEN, NOON), 1, SHORT))
    assert lane.idle


def test_a_priority_that_was_not_walked_gets_no_bound_and_keeps_the_one_it_has(lane, monotonic):
    claim(lane, reached={80, 0})
    claim(lane, reached={80, 0}, jobs=1)
    assert bounded(lane).keys() == {80, 0}
    monotonic(0.1)
    claim(lane, reached={80}, now=NOON + timedelta(seconds=1), jobs=1)
    assert bounded(lane) == {80: NOON + timedelta(seconds=1) - SLACK, 0: NOON - SLACK}


def test_short_claims_that_end_before_a_priority_do_not_hide_its_long_walks(lane):
    for _ in range(2):
        claim(lane, LONG)
        claim(lane, SHORT, jobs=1, reached={80})
    assert bounded(lane)[0] == NOON - SLACK


def test_a_job_that_came_back_makes_all_bounds_void_those_of_priorities_not_walked_too(lane):
    claim(lane)
    claim(lane)
    bounds = claim(lane, SHORT, reached={80}, jobs=1, returns=7)
    assert bounds.returns == 0
    assert (bounded(lane), lane.bounds().returns) == ({}, 7)
    assert set(lane.bounds(overdue=True).since.values()) == {None}


def test_a_claim_that_found_the_bounds_void_counts_as_one_without(lane):
    claim(lane)
    claim(lane)
    claim(lane, LONG, returns=7)
    assert bounded(lane).keys() == ALL
    assert lane.bounds().returns == 7


def test_a_claim_that_was_not_possible_teaches_nothing(lane):
    claim(lane)
    claim(lane)
    lane.note_claim(None)
    assert bounded(lane).keys() == ALL
