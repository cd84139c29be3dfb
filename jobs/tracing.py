"""One trace from the request through the event and the queue to the task, where OpenTelemetry is installed.

The names are those of its conventions for messaging:
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/. Without the package opentelemetry-api nothing of
this does anything; with it alone, until the project sets up an SDK, nothing is recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager as ContextManager
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from .origin import Origin, origin_of, set_request_id

try:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:
    _IS_INSTALLED = False
else:
    _IS_INSTALLED = True
    _tracer = trace.get_tracer("esteira.jobs")
    _propagator = TraceContextTextMapPropagator()

if TYPE_CHECKING:
    from .broker.records import ClaimedJob, NewJob, Outcome, Settlement

SYSTEM = "esteira"
_NOTHING: ContextManager[None] = nullcontext()


def is_on() -> bool:
    """Whether anything is recorded: without an SDK even the API's doing nothing would cost a job its half again."""
    return _IS_INSTALLED and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def traceparent() -> str:
    """The present span as the header `traceparent` says it; empty: there is none."""
    if not is_on():
        return ""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent", "")


def trace_id() -> str:
    """The present trace; empty: there is none."""
    if not is_on():
        return ""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""


def announcing(event: str) -> ContextManager[Any]:
    """A span for the receivers of an event."""
    return _span(f"announce {event}", trace.SpanKind.INTERNAL, {}) if is_on() else _NOTHING


def sending(jobs: Sequence[NewJob]) -> ContextManager[Any]:
    """A span for jobs that are accepted; they carry it."""
    if not is_on():
        return _NOTHING
    queue = jobs[0].queue
    attributes: dict[str, Any] = {**_attributes("send", queue), "esteira.task": jobs[0].task}
    if len(jobs) == 1:
        attributes["messaging.message.id"] = str(jobs[0].id)
    else:
        attributes["messaging.batch.message_count"] = len(jobs)
    return _span(f"send {queue}", trace.SpanKind.PRODUCER, attributes)


def attempted(job: ClaimedJob, run: Callable[[], Settlement | None]) -> Settlement | None:
    """Run one attempt for the request that caused the job, and in a span in the trace of what enqueued it."""
    origin = origin_of(job.message)
    set_request_id(origin.request_id)
    if not is_on():
        return run()
    attributes: dict[str, Any] = {"messaging.message.id": str(job.id), "esteira.attempt": job.attempts + 1}
    with _processing(job, [origin], attributes) as span:
        settlement = run()
        outcome = settlement.outcome if settlement is not None else None
        span.set_attribute("esteira.outcome", "completed" if outcome is None else type(outcome).__name__.lower())
        _tell_error(span, outcome)
        return settlement


def attempted_together(jobs: Sequence[ClaimedJob], run: Callable[[], Sequence[Outcome | None]]) -> None:
    """Run the jobs of one call of a bulk task: in one span, which links to what enqueued each.

    It is in their trace, and for the request that caused them, where all have the same one.
    """
    origins = [origin_of(job.message) for job in jobs]
    ids = {origin.request_id for origin in origins}
    set_request_id(ids.pop() if len(ids) == 1 else "")
    if not is_on():
        run()
        return
    with _processing(jobs[0], origins, {"messaging.batch.message_count": len(jobs)}) as span:
        outcomes = run()
        for name, number in Counter(type(outcome).__name__.lower() for outcome in outcomes if outcome).items():
            span.set_attribute(f"esteira.outcome.{name}", number)
        _tell_error(span, next((outcome for outcome in outcomes if getattr(outcome, "error", "")), None))


def _processing(job: ClaimedJob, origins: Sequence[Origin], attributes: Mapping[str, Any]) -> ContextManager[Any]:
    """A span for the call of a job's task; its parent is what enqueued all of its jobs, if one trace did."""
    found = {origin.traceparent for origin in origins if origin.traceparent}
    sent = [_propagator.extract({"traceparent": text}) for text in sorted(found)]
    spans = [trace.get_current_span(context).get_span_context() for context in sent]
    links = [trace.Link(span) for span in spans if span.is_valid]
    is_one = len({span.trace_id for span in spans}) == 1 and all(origin.traceparent for origin in origins)
    return _span(
        f"process {job.queue}",
        trace.SpanKind.CONSUMER,
        {**_attributes("process", job.queue), "esteira.task": job.task, **attributes},
        context=sent[0] if is_one else Context(),
        links=links,
    )


def _tell_error(span: Any, outcome: object) -> None:
    if error := getattr(outcome, "error", ""):
        # by its type alone: its text may hold what is nobody's business
        span.set_attribute("error.type", error.partition(":")[0][:100])
        span.set_status(trace.StatusCode.ERROR)


def _span(name: str, kind: Any, attributes: Mapping[str, Any], **more: Any) -> ContextManager[Any]:
    # what an exception says may be an argument
    return _tracer.start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False, **more
    )


def _attributes(operation: str, queue: str) -> dict[str, Any]:
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
    }
