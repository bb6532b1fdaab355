"""What this plugin adds to `algo`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from algo_core import Variable, hookimpl

if TYPE_CHECKING:
    from algo_core import App
    from algo_core.events import Event
    from algo_core.terminal.output import Output
    from algo_otel.tracing import Tracing

ALGO_API = ">=1.1,<2"

EXPORTER = "OTEL_TRACES_EXPORTER"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


@hookimpl
def algo_observe(event: Event, app: App) -> None:
    """Make spans of events, if the environment says where to send them."""
    environ = app.environ
    chosen = environ.get(EXPORTER, "").strip() or ("otlp" if any(map(environ.get, ENDPOINTS)) else "none")
    if chosen != "none":
        _tracing(chosen, environ.get("TRACEPARENT", ""), app.output).observe(event)


@hookimpl
def algo_variables() -> list[Variable]:
    """The variables of OpenTelemetry that choose the exporter."""
    return [
        Variable(EXPORTER, "where spans go: otlp, console or none"),
        Variable("OTEL_EXPORTER_OTLP_ENDPOINT", "address of the collector of spans"),
        Variable("TRACEPARENT", "trace that commands belong to (W3C Trace Context)"),
    ]


@functools.cache
def _tracing(exporter: str, parent: str, output: Output) -> Tracing:
    from algo_otel.exporting import processor
    from algo_otel.tracing import Tracing

    return Tracing(processor(exporter, output.warn), parent)
