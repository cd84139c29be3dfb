"""What a long walk over lanes has found, and for how long it is relied on."""

from datetime import UTC, datetime

from jobs import clock
from jobs.broker.database.walks import FEW_DUE, LONG, Walk, Walks, recall, remember

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def walked(walks: Walks, *, seconds: float, passed: int = LONG + 1, due: int = 1) -> None:
    lanes = frozenset(f"g{number}" for number in range(due))
    remember(walks, "lane", 0, Walk(NOON, lanes, ""), began=clock.monotonic() - seconds, passed=passed)


def test_a_job_that_comes_back_to_its_old_place_is_hidden_for_a_second_at_most() -> None:
    walks: Walks = {}
    walked(walks, seconds=60)
    walk = recall(walks, "lane", 0, "")
    assert walk is not None
    assert 0 < walk.until - clock.monotonic() <= 1


def test_a_walk_says_nothing_where_other_tags_are_paused_since() -> None:
    walks: Walks = {}
    walked(walks, seconds=60)
    assert recall(walks, "lane", 0, '["x"]') is None


def test_short_walks_and_those_that_found_much_are_not_remembered() -> None:
    walks: Walks = {}
    walked(walks, seconds=60, passed=LONG)
    walked(walks, seconds=60, due=FEW_DUE + 1)
    assert recall(walks, "lane", 0, "") is None
