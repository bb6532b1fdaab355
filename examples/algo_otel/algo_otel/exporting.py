"""Where spans go."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from algo_core.errors import ConfigError

REQUEST_SECONDS = 2
"""For sending one batch, repetitions included: a command waits for the last one."""


class FirstError(logging.Handler):
    """Says the SDK's first error in `algo`'s way; it would log each one to stderr, also with `--json`."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._warn = warn
        self._has_said = False

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, if it is the first one."""
        if not self._has_said:
            self._has_said = True
            self._warn(f"spans were not sent: {record.getMessage()}")


def processor(name: str, warn: Callable[[str], None]) -> SpanProcessor:
    """A processor that exports as `OTEL_TRACES_EXPORTER` says; `warn` shows why something could not be sent.

    Raises:
        ConfigError: if it names no exporter of this plugin, or that is not installed.
    """
    exporter = _exporter(name)
    log = logging.getLogger("opentelemetry")
    log.addHandler(FirstError(warn))
    log.propagate = False
    return BatchSpanProcessor(exporter)


def _exporter(name: str) -> SpanExporter:
    if name == "console":
        return ConsoleSpanExporter(out=sys.stderr)
    if name != "otlp":
        raise ConfigError(f"OTEL_TRACES_EXPORTER is {name!r}: write otlp, console or none")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise ConfigError("Spans cannot be sent: install algo-otel[otlp]") from None
    return OTLPSpanExporter(timeout=REQUEST_SECONDS)
