"""/metrics: who may read it, and that it tells what happened, by queue and task; on both databases and Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from io import StringIO
from threading import Thread

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from jobs import InvalidOption, PermanentError, Queue, RetryLater, provider_call, register_metrics
from jobs.broker.tally import quantile
from jobs.conf import jobs_settings
from jobs.history import live, provider_calls
from jobs.history.provider_calls import OUTCOMES
from jobs.metrics import registered
from jobs.metrics.text import metrics_text
from jobs.models import ProviderFailure, TaskStat
from jobs.testing import run_jobs
from tests.each_broker import each_broker  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)
lane = Queue("metrics_lane", attempts=2)
LANE = {"queue": lane.name, "task": "metrics.work"}
TOKEN = "0123456789abcdef"


@lane.task(name="metrics.work", aliases=["metrics.labour"])
def work(fails: bool = False) -> None:
    if fails:
        raise ValueError


@lane.task(name="metrics.never")
def never() -> None: ...


@pytest.fixture(autouse=True)
def _lane_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.defined.queues", lambda: {lane.name: lane})


def scraped() -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(metrics_text().decode())}


def value(name: str, **labels: str) -> float:
    found = [
        sample.value
        for family in scraped().values()
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    assert len(found) == 1, (name, labels, found)
    return found[0]


def test_what_happened_is_told_by_queue_task_and_outcome(each_broker: str) -> None:  # noqa: F811
    for fails in (False, False, True):
        work.enqueue(fails)
    work.using(delay=600).enqueue()
    work.using(delay=600).enqueue().cancel()
    run_jobs()
    run_jobs(until=timedelta(minutes=1))
    live.hear()
    outcomes = {"completed": 2, "failed": 1, "cancelled": 1, "expired": 0}
    assert {name: value("esteira_jobs_total", **LANE, outcome=name) for name in outcomes} == outcomes
    assert value("esteira_job_retries_total", **LANE) == 1
    for name in ("esteira_job_run_seconds", "esteira_job_wait_seconds"):
        assert value(f"{name}_count", **LANE) == value(f"{name}_bucket", **LANE, le="+Inf") == 4
        below = [sample.value for sample in scraped()[name].samples if sample.labels == {**LANE, "le": "1800"}]
        assert below == [4]
    assert value("esteira_jobs_total", queue=lane.name, task="metrics.never", outcome="completed") == 0
    assert value("esteira_queue_jobs", queue=lane.name, state="scheduled") == 1
    assert value("esteira_queue_jobs", queue=lane.name, state="dead_letter") == 1
    assert value("esteira_broker_up") == 1


def test_what_no_code_defines_is_one_series_and_an_alias_is_its_task() -> None:
    sums = {"outcome": "completed", "ran": 0, "waited": 0, "hour": "2026-01-01T00:00Z", "part": 0}
    sums |= {"jobs": 2, "ran_ms": 4, "waited_ms": 6}
    for queue, task in (("gone", "a"), ("gone", "b"), (lane.name, "c"), (lane.name, "metrics.labour")):
        TaskStat.objects.create(queue=queue, task=task, **sums)
    assert value("esteira_jobs_total", queue="other", task="other", outcome="completed") == 4
    assert value("esteira_jobs_total", queue=lane.name, task="other", outcome="completed") == 2
    assert value("esteira_jobs_total", **LANE, outcome="completed") == 2
    assert value("esteira_job_run_seconds_sum", **LANE) == 0.004


def calls(provider: str) -> dict[str, float]:
    return {name: value("esteira_provider_calls_total", provider=provider, outcome=name) for name in OUTCOMES}


def test_a_call_of_a_provider_is_counted_by_how_it_ended() -> None:
    with provider_call("parcels"):
        pass
    for error in (ValueError(), RetryLater(1), PermanentError("no such address"), OSError(), KeyboardInterrupt()):
        with pytest.raises(type(error)), provider_call("parcels", failed=(RetryLater,), slowed=(OSError,)):
            raise error
    assert calls("parcels") == {"ok": 1, "slowed": 1, "refused": 1, "failed": 2}
    assert value("esteira_provider_call_seconds_count", provider="parcels") == 5
    assert value("esteira_jobs_total", **LANE, outcome="failed") == 0
    failure = ProviderFailure.objects.get()
    assert (failure.provider, failure.error_type, failure.job_id) == ("parcels", "RetryLater", None)
    with pytest.raises(InvalidOption, match="'of a customer'"), provider_call("of a customer"):
        pass


def test_a_provider_with_a_breaker_counts_from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.metrics.families.all_rules", lambda: {"sendgrid": object()})
    assert calls("sendgrid") == {"ok": 0, "slowed": 0, "refused": 0, "failed": 0}


@pytest.fixture
def _as_in_a_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(provider_calls, "_is_kept", False)
    monkeypatch.setattr(provider_calls, "EVERY", 60.0)  # by hand
    provider_calls.keep_calls()
    yield
    provider_calls.finish_calls(10)


@pytest.mark.usefixtures("_as_in_a_worker")
def test_a_worker_writes_many_calls_together_also_those_of_a_transaction_that_is_rolled_back() -> None:
    def call_often() -> None:
        for _ in range(50):
            with suppress(ValueError), provider_call("parcels"):
                raise ValueError

    with suppress(ZeroDivisionError), transaction.atomic():
        with provider_call("parcels"):
            pass
        raise ZeroDivisionError
    threads = [Thread(target=call_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not TaskStat.objects.exists()
    with CaptureQueriesContext(connection) as queries:
        provider_calls.write_calls()
    assert calls("parcels") == {"ok": 1, "slowed": 0, "refused": 0, "failed": 200}
    assert len(queries) < 12
    with CaptureQueriesContext(connection) as queries:
        provider_calls.write_calls()
    assert not queries


@pytest.mark.usefixtures("_as_in_a_worker")
def test_what_a_database_that_is_away_did_not_take_is_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object) -> None:
        raise OperationalError

    for _ in range(2):
        with provider_call("parcels"):
            pass
        with monkeypatch.context() as patch:
            patch.setattr(provider_calls, "add_counts", away)
            provider_calls.write_calls()
    provider_calls.write_calls()
    assert calls("parcels")["ok"] == 2


@lane.task(name="metrics.calls")
def call_provider() -> None:
    with provider_call("parcels"):
        raise ValueError


def test_the_failure_names_its_job_on_each_broker(each_broker: str) -> None:  # noqa: F811
    job = call_provider.enqueue()
    run_jobs(limit=1)
    assert ProviderFailure.objects.get().job_id == job.id
    assert calls("parcels")["failed"] == 1


def test_quantiles_lie_within_their_class() -> None:
    assert quantile([], 0.5) is None
    assert quantile([0, 4], 0.5) == 30  # halfway through the class from 10 to 50 ms
    assert quantile([5, 0, 0, 5], 0.95) == pytest.approx(235)
    assert quantile([0] * 13 + [1], 0.95) == 1_800_000


@pytest.fixture
def _no_metrics_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "_registered", {})


@pytest.mark.usefixtures("_no_metrics_of_others")
def test_a_function_that_raises_hides_no_metric_of_others() -> None:
    def broken() -> list[Metric]:
        raise ValueError

    def of_shop() -> list[Metric]:
        return [GaugeMetricFamily("shop_orders", "Open orders.", value=7)]

    register_metrics("broken", broken)
    register_metrics("nonsense", lambda: [GaugeMetricFamily("shop_name", "No number.", value="Ada")])  # type: ignore[arg-type]
    register_metrics("shop", of_shop)
    with pytest.raises(InvalidOption, match="'shop'"):
        register_metrics("shop", broken)
    assert value("shop_orders") == 7
    out = StringIO()
    call_command("jobs", "metrics", stdout=out)
    assert "shop_orders 7.0" in out.getvalue()


def status(address: str = "10.1.2.3", **headers: str) -> int:
    return Client().get("/metrics", headers=headers, REMOTE_ADDR=address, SERVER_NAME="unknown.example").status_code


def set_access(**given: object) -> override_settings:
    return override_settings(JOBS={"QUEUES": "config.queues", **given})


def test_metrics_are_read_with_what_is_set_and_by_nobody_where_nothing_is() -> None:
    assert status() == 404
    with override_settings(DEBUG=True):
        assert status() == 200
    bearer, wrong = {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": f"Bearer {TOKEN}ä"}
    with set_access(METRICS_TOKEN=TOKEN):
        assert (status(**bearer), status(**wrong), status(Authorization=TOKEN), status()) == (200, 401, 401, 401)
    with set_access(METRICS_NETWORKS=["10.1.0.0/16", "fd00::/8"]):
        places = ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "10.2.0.1", "")
        assert [status(place) for place in places] == [200, 200, 200, 404, 404]
    with set_access(METRICS_TOKEN=TOKEN, METRICS_NETWORKS=["10.1.0.0/16"]):
        assert (status(**bearer), status("10.2.0.1", **bearer), status()) == (200, 404, 401)
        answer = Client().post("/metrics", headers=bearer, REMOTE_ADDR="10.1.2.3")
        assert (answer.status_code, answer.cookies) == (405, {})


@pytest.mark.parametrize(
    "given", [{"METRICS_TOKEN": "short"}, {"METRICS_NETWORKS": ["10.1.2.3/8"]}], ids=["token", "net"]
)
def test_a_wrong_setting_of_the_metrics_stops_the_start_with_its_name(given: dict[str, object]) -> None:
    with set_access(**given), pytest.raises(ImproperlyConfigured, match=next(iter(given))):
        jobs_settings()
