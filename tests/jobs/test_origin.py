"""The request that caused a job: in the jobs that it causes, in log lines, and in one trace; on all brokers."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise

import pytest
from django.db import transaction
from django.test import Client
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jobs import BulkJob, Event, EventSignal, Queue, receives, tracing
from jobs.json_lines import JsonFormatter
from jobs.origin import NOWHERE, Origin, origin_of, request_id, set_request_id, with_origin
from jobs.testing import run_jobs
from tests.each_broker import each_broker as each_broker

lane = Queue("origin_lane", attempts=1)
seen: list[str] = []


@lane.task(name="origin.child")
def child(secret: str) -> None:
    seen.append(request_id())
    logging.getLogger("shop").warning("half done")


@lane.task(name="origin.parent")
def parent(fails: bool) -> None:
    seen.append(request_id())
    child.enqueue("hidden")
    if fails:
        raise ValueError("hidden")


@dataclass(frozen=True)
class Secret:
    secret: str


@dataclass(frozen=True, kw_only=True)
class OrderPlaced(Event):
    pass


order_placed = EventSignal(OrderPlaced)


@receives(order_placed, starts=[parent])
def start_parent(sender: object, event: OrderPlaced, **kwargs: object) -> None:
    parent.enqueue(True)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[StringIO]:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("jobs.defined.queues", lambda: {lane.name: lane})
    seen.clear()
    out = StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    yield out
    logging.getLogger().removeHandler(handler)
    set_request_id("")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "is_on", lambda: True)
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    return exporter


@pytest.mark.django_db(transaction=True)
def test_a_request_s_id_and_trace_go_through_the_event_and_the_queue_to_the_last_job(
    each_broker: str, lines: StringIO, spans: InMemorySpanExporter
) -> None:
    set_request_id("req-1")
    with tracing.announcing("request"), transaction.atomic():
        event = OrderPlaced()
        order_placed.announce(event)
    set_request_id("")
    run_jobs()
    run_jobs()
    assert (seen, request_id()) == (["req-1", "req-1"], "")

    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    ended = {line["task"]: line for line in told if line["message"].startswith("job_")}
    assert ended.keys() == {"origin.parent", "origin.child"}
    about = {"queue": lane.name, "attempt": 1, "event": "OrderPlaced", "event_id": str(event.event_id)}
    for line in (*ended.values(), *(line for line in told if line["logger"] == "shop")):
        assert line | about | {"request_id": "req-1"} == line
        assert line["job"]
    assert ended["origin.child"]["seconds"] >= 0
    assert "hidden" not in json.dumps(ended["origin.child"])

    finished = [
        span for span in spans.get_finished_spans() if (span.attributes or {}).get("esteira.task") != child.name
    ]
    found = {span.name: span for span in finished}
    path = ["announce request", "announce OrderPlaced", f"send {lane.name}", f"process {lane.name}"]
    for above, below in pairwise(path):
        assert parent_of(found[below]) == id_of(found[above]), (above, below)
    assert len({span.context.trace_id for span in spans.get_finished_spans()}) == 1
    attempt = found[f"process {lane.name}"].attributes or {}
    assert (attempt["messaging.operation.type"], attempt["error.type"]) == ("process", "ValueError")
    assert "hidden" not in "".join(span.to_json() for span in spans.get_finished_spans())


@lane.task(name="origin.bulk", bulk=10)
def bulk(jobs: list[BulkJob[Secret]]) -> None:
    seen.append(request_id())
    for job in jobs:
        if job.args.secret == "bad":
            job.fail(ValueError("hidden"))
    child.enqueue("hidden")


@pytest.mark.django_db(transaction=True)
def test_a_bulk_call_is_one_span_that_links_to_each_job_and_works_for_the_request_that_they_share(
    each_broker: str, lines: StringIO, spans: InMemorySpanExporter
) -> None:
    for ids, shared in ((("req-1", "req-1"), "req-1"), (("req-1", "req-2"), "")):
        seen.clear()
        spans.clear()
        for id, secret in zip(ids, ("good", "bad"), strict=True):
            set_request_id(id)
            bulk.enqueue(secret)
        set_request_id("")
        run_jobs()
        assert seen == [shared, shared], ids
        found = spans.get_finished_spans()
        sent = [span for span in found if span.name.startswith("send") and span.parent is None]
        (call,) = [span for span in found if (span.attributes or {}).get("messaging.batch.message_count") == 2]
        assert call.name == f"process {lane.name}"
        assert {link.context.span_id for link in call.links} == {id_of(span) for span in sent[:2]}
        told = call.attributes or {}
        assert [told[f"esteira.outcome.{name}"] for name in ("completed", "failed")] == [1, 1]
        assert told["error.type"] == "ValueError"
        assert "hidden" not in call.to_json()
        # what it enqueues is in its trace
        assert [
            span for span in found if span.name.startswith("send") and span.parent and parent_of(span) == id_of(call)
        ]


@pytest.mark.django_db(transaction=True)
def test_a_bulk_call_of_one_trace_is_in_it(lines: StringIO, spans: InMemorySpanExporter) -> None:
    with tracing.announcing("request"):
        bulk.enqueue_many([("good",), ("good",)])
    run_jobs()
    assert len({span.context.trace_id for span in spans.get_finished_spans()}) == 1


def id_of(span: ReadableSpan) -> int:
    return span.context.span_id


def parent_of(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


def test_what_is_no_origin_is_none() -> None:
    message = '{"v":1,"args":[],"kwargs":{}}'
    origin = Origin("req-1", "")
    assert origin_of(with_origin(message, origin)) == origin
    assert with_origin(message, NOWHERE) == message
    for text in ("", "nothing", '{"kwargs":{"from":["a","b"]}}', '{"from":["a b",""]}', '{"from":["a"]}'):
        assert origin_of(text) == NOWHERE, text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1/2", True), ("a b", False), ("x" * 65, False)], ids=["sane", "space", "long"]
)
def test_a_sane_id_of_a_request_is_kept_and_another_is_replaced(given: str, kept: bool) -> None:
    answer = Client().get("/accounts/login/", headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) is kept
    assert request_id() == ""


@pytest.mark.django_db
def test_each_line_is_one_json_object_whatever_is_logged_and_names_the_request_also_behind_all_middleware(
    lines: StringIO,
) -> None:
    Client().get("/nothing\u2028here/", headers={"X-Request-ID": "abc"})
    Client().get("/nothing/", headers={"X-Request-ID": "x" * 10_000})
    log = logging.getLogger("jobs.test")
    log.error(ValueError("a\nb"))
    log.error("text=%s number=%.1f", "q\u2028\u202e", float("nan"), stack_info=True)
    first, second, error, named = [
        json.loads(line, parse_constant=pytest.fail) for line in lines.getvalue().split("\n")[:-1]
    ]
    assert (first["message"], first["request_id"]) == ("Not Found: /nothing\\u2028here/", "abc")
    assert len(second["request_id"]) == 32
    assert error["message"] == "a\\nb"
    assert (named["number"], "stack" in named) == ("nan", True)
    assert lines.getvalue().replace("\n", "").isprintable()
