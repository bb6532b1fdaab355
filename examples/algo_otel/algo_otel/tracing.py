"""Makes spans of events: one for the command, and children for its requests and transfers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from algo_core.events import CommandEnded, CommandStarted, Event, RequestEnded, TransferEnded

LAST_SECONDS = 3.0
"""For sending what is left at the end of a command; observers have five."""

Attributes = Mapping[str, str | int]


class Tracing:
    """The trace of one command. `parent` is a `traceparent` of W3C Trace Context, or empty."""

    def __init__(self, processor: SpanProcessor, parent: str = "") -> None:
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "algo"}), shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("algo-otel")
        self._context: Context = TraceContextTextMapPropagator().extract({"traceparent": parent})
        self._command: Span | None = None

    def observe(self, event: Event) -> None:
        """Make a span of an event; with the end of the command everything is sent."""
        if isinstance(event, CommandStarted):
            self._command = self._tracer.start_span(
                f"algo {event.command}",
                self._context,
                SpanKind.INTERNAL,
                {"process.executable.name": "algo", "process.pid": os.getpid()},
                start_time=_nanoseconds(event.time),
            )
            self._context = trace.set_span_in_context(self._command, self._context)
        elif isinstance(event, CommandEnded):
            self._end(event)
        elif isinstance(event, RequestEnded):
            attributes, error = request_attributes(event), request_error(event)
            self._child(event.method, SpanKind.CLIENT, attributes, error, "", event.time - event.seconds, event.time)
        elif isinstance(event, TransferEnded):
            error = "transfer_failed" if event.error else ""
            said = event.error or ""
            attributes = transfer_attributes(event)
            self._child("transfer", SpanKind.INTERNAL, attributes, error, said, event.time, event.time)

    def _child(
        self, name: str, kind: SpanKind, attributes: Attributes, error: str, said: str, start: float, end: float
    ) -> None:
        span = self._tracer.start_span(name, self._context, kind, attributes, start_time=_nanoseconds(start))
        _mark(span, error, said)
        span.end(_nanoseconds(end))

    def _end(self, event: CommandEnded) -> None:
        if self._command:
            self._command.set_attribute("process.exit.code", event.exit_code)
            _mark(self._command, str(event.exit_code) if event.exit_code else "", "")
            self._command.end(_nanoseconds(event.time))
        self._provider.force_flush(int(LAST_SECONDS * 1000))


def request_attributes(event: RequestEnded) -> Attributes:
    """By the semantic conventions for HTTP clients."""
    parts = urlsplit(event.url)
    found = {
        "http.request.method": event.method,
        "url.full": event.url,
        "server.address": parts.hostname,
        "server.port": parts.port or {"https": 443, "http": 80}.get(parts.scheme),
        "http.response.status_code": event.status,
        "http.request.body.size": event.sent,
        "http.response.body.size": event.received,
    }
    return {name: value for name, value in found.items() if value is not None}


def request_error(event: RequestEnded) -> str:
    """What `error.type` says of a request; empty for one that went well."""
    if event.status is None:
        return "no_response"
    return str(event.status) if event.status >= 400 else ""


def transfer_attributes(event: TransferEnded) -> Attributes:
    """The conventions have none for transfers, apart from the size of a file."""
    found = {
        "algo.transfer.source": event.source,
        "algo.transfer.target": event.target,
        "algo.transfer.checksum": event.checksum,
        "file.size": event.size,
    }
    return {name: value for name, value in found.items() if value is not None}


def _mark(span: Span, error: str, said: str) -> None:
    if error:
        span.set_attribute("error.type", error)
        span.set_status(StatusCode.ERROR, said or None)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
