"""When a cron expression ticks, also where clocks are put forward and back, and what a hostile one costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import process_time
from zoneinfo import ZoneInfo

import pytest

from jobs import Cron, Every, InvalidPolicy

NEW_YORK, LORD_HOWE = "America/New_York", "Australia/Lord_Howe"


def ticks(rule: Cron, since: str, number: int = 3) -> list[str]:
    """The next ticks after a local time, as local times with their offsets."""
    zone = rule.zone
    begin = datetime.fromisoformat(since).replace(tzinfo=zone)
    return [f"{tick.astimezone(zone):%m-%d %H:%M:%S%z}" for tick in rule.next(begin, number)]


# New York: 2026-03-08 02:00 becomes 03:00, 2026-11-01 02:00 becomes 01:00; Lord Howe: half an hour, 2026-10-04 02:00


@pytest.mark.parametrize("expression", ["30 2 * * *", "*/20 2 * * *", "15 30 2 * * *", "0 2,3 * * *", "59 2-2 * * *"])
def test_what_falls_into_a_skipped_hour_ticks_once_at_its_end(expression: str) -> None:
    found = ticks(Cron(expression, timezone=NEW_YORK), "2026-03-07T12:00")
    assert found[0] == "03-08 03:00:00-0400"
    assert not found[1].startswith("03-08")


@pytest.mark.parametrize(("expression", "times"), [("30 1 * * *", 1), ("*/30 1 * * *", 2), ("0 0 1,2 * * *", 2)])
def test_what_falls_into_a_doubled_hour_ticks_the_first_time_only(expression: str, times: int) -> None:
    found = [one for one in ticks(Cron(expression, timezone=NEW_YORK), "2026-10-31T12:00", 9) if one[:5] == "11-01"]
    assert len(found) == times
    assert found[0].endswith("-0400")


def test_for_every_hour_the_time_that_passes_counts() -> None:
    spring = ticks(Cron("30 * * * *", timezone=NEW_YORK), "2026-03-08T00:00")
    assert spring == ["03-08 00:30:00-0500", "03-08 01:30:00-0500", "03-08 03:30:00-0400"]
    autumn = ticks(Cron("30 0-23 * * *", timezone=NEW_YORK), "2026-11-01T01:00")
    assert autumn == ["11-01 01:30:00-0400", "11-01 01:30:00-0500", "11-01 02:30:00-0500"]


def test_half_an_hour_of_daylight_saving_ends_where_it_ends() -> None:
    assert ticks(Cron("10 2 * * *", timezone=LORD_HOWE), "2026-10-03T12:00")[0] == "10-04 02:30:00+1100"


def test_tick_of_a_zone_where_midnight_is_skipped_comes_when_the_day_begins() -> None:
    found = ticks(Cron("0 0 * * *", timezone="America/Sao_Paulo"), "2018-11-03T12:00", 2)
    assert found == ["11-04 01:00:00-0200", "11-05 00:00:00-0200"]


@pytest.mark.slow
@pytest.mark.parametrize("months", [(3, 5), (10, 12)], ids=["spring", "autumn"])
def test_no_tick_comes_twice_or_goes_back_where_clocks_change(months: tuple[int, int]) -> None:
    begin, end = (datetime(2026, month, 1, tzinfo=UTC) for month in months)
    for zone in (NEW_YORK, LORD_HOWE, "Europe/Lisbon", "America/Sao_Paulo", "UTC"):
        for expression in ("*/17 * * * *", "0,30 1-3 * * *", "5 */2 * * 0"):
            rule = Cron(expression, timezone=zone)
            found = rule.due(begin, end, 100_000)
            assert all(one < two for one, two in zip(found, found[1:], strict=False))
            assert max(two - one for one, two in zip(found, found[1:], strict=False)) <= timedelta(days=7, hours=1)


def test_six_fields_begin_with_the_seconds() -> None:
    rule = Cron("*/20 0 9 * * MON", timezone="UTC")
    assert ticks(rule, "2026-11-23T08:00") == ["11-23 09:00:00+0000", "11-23 09:00:20+0000", "11-23 09:00:40+0000"]


def test_without_a_zone_that_of_the_settings_counts(settings) -> None:
    settings.TIME_ZONE = "America/Sao_Paulo"
    assert Cron("0 9 * * *").next(datetime(2026, 11, 23, tzinfo=UTC), 1) == [datetime(2026, 11, 23, 12, tzinfo=UTC)]


@pytest.mark.parametrize(
    "expression",
    [
        "*/0 * * * *",
        "0 0 30 2 *",
        "0 0 31 4,6 *",
        "* * */20 * 1L",
        ",".join(["1"] * 10_000) + " * * * *",
        "," * 100 + " * * * *",
        "1/" * 90 + "1 * * * *",
        "0 0 1-31/0 * *",
        "²L * * * *",
        "0 0 * * ²L",
        "* * * * 1#2/3",
        "60 * * * *",
        "FRI * * * *",
        "\0",
        "",
        "@reboot",
        "* * * *",
        "* * * * * * *",
        None,
        5,
    ],
)
def test_hostile_expression_is_refused_and_costs_nothing(expression: object) -> None:
    began = process_time()
    with pytest.raises(InvalidPolicy) as refused:
        Cron(expression)
    assert process_time() - began < 1
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("zone", ["Nowhere/City", "../../etc/passwd", "/etc/localtime", "a" * 5_000, "\0", "", 3])
def test_unknown_zone_is_refused(zone: object) -> None:
    with pytest.raises(InvalidPolicy, match="America/Sao_Paulo"):
        Cron("0 9 * * *", timezone=zone)


@pytest.mark.parametrize(
    "options",
    [
        {"missed": "never"},
        {"overlap": True},
        {"jitter": -1},
        {"jitter": float("nan")},
        {"jitter": 86_401},
        {"start": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"end": "2026-01-01"},
        {"start": datetime(2026, 1, 2, tzinfo=UTC), "end": datetime(2026, 1, 1, tzinfo=UTC)},
        {"count": 0},
        {"count": True},
    ],
)
def test_wrong_option_is_refused_by_its_name(options: dict[str, object]) -> None:
    for rule in (lambda: Cron("0 9 * * *", **options), lambda: Every(60, **options)):
        with pytest.raises(InvalidPolicy, match=list(options)[-1]):
            rule()


@pytest.mark.parametrize("seconds", [0, -1, 0.5, 1.5, True, "60", None, float("inf"), float("nan"), 1e9])
def test_wrong_seconds_are_refused(seconds: object) -> None:
    with pytest.raises(InvalidPolicy, match="whole seconds"):
        Every(seconds)


def test_every_counts_from_its_start_else_from_1970() -> None:
    noon = datetime(2026, 11, 23, 12, 0, 20, tzinfo=UTC)
    assert Every(300).next(noon, 2) == [noon.replace(minute=5, second=0), noon.replace(minute=10, second=0)]
    start = noon + timedelta(seconds=7, milliseconds=5)
    rule = Every(timedelta(minutes=1), start=start, end=start + timedelta(seconds=90))
    assert rule.next(noon, 9) == [noon.replace(second=28), noon.replace(minute=1, second=28)]


def test_last_of_a_year_of_seconds_is_found_at_once() -> None:
    rule, until = Cron("* * 0-11 * * *", timezone="UTC"), datetime(2026, 11, 23, 18, tzinfo=UTC)
    began = process_time()
    assert rule.latest(until - timedelta(days=365), until) == datetime(2026, 11, 23, 11, 59, 59, tzinfo=UTC)
    assert len(rule.due(until - timedelta(days=365), until, 100)) == 100
    assert process_time() - began < 5


def test_zone_is_that_of_the_expression_for_days_as_well() -> None:
    rule = Cron("0 23 L * *", timezone="America/Sao_Paulo")
    [tick] = rule.next(datetime(2026, 11, 23, tzinfo=UTC), 1)
    assert tick.astimezone(ZoneInfo("America/Sao_Paulo")).isoformat() == "2026-11-30T23:00:00-03:00"
