"""Traces by OpenTelemetry (`examples/algo_otel`): spans in memory, and at a collector on the loopback interface."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.environments import ROOT
from support.stub import KEY, StubPlatform

from algo_core.errors import ExitCode
from algo_core.events import CommandEnded, CommandStarted, Event, RequestEnded, TransferEnded
from algo_core.testing import Home

PACKAGE = ROOT / "examples" / "algo_otel" / "algo_otel"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
URL = "https://api.acme.example/v1/data/.my/x"


@pytest.fixture
def spans_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[ReadableSpan]]:
    """The spans that events become."""
    monkeypatch.syspath_prepend(str(PACKAGE.parent))
    from algo_otel.tracing import Tracing

    def spans(*events: Event, parent: str = "") -> list[ReadableSpan]:
        exporter = InMemorySpanExporter()
        tracing = Tracing(SimpleSpanProcessor(exporter), parent)
        for event in events:
            tracing.observe(event)
        return list(exporter.get_finished_spans())

    return spans


def test_a_command_has_its_requests_and_transfers_as_children(spans_of: Callable[..., list[ReadableSpan]]) -> None:
    request, transfer, command = spans_of(
        CommandStarted("cp", 100.0),
        RequestEnded("GET", URL, 200, 0, 12, 0.25, 101.0),
        TransferEnded("data://.my/x", "/tmp/x", 12, "md5:0", None, 102.0),
        CommandEnded("cp", 0, 3.0, 103.0),
        parent=TRACEPARENT,
    )
    assert (command.name, request.name, transfer.name) == ("algo cp", "GET", "transfer")
    assert (command.kind.name, request.kind.name, transfer.kind.name) == ("INTERNAL", "CLIENT", "INTERNAL")
    assert command.parent is not None
    assert (f"{command.context.trace_id:032x}", f"{command.parent.span_id:016x}") == (TRACE, PARENT)
    for child in (request, transfer):
        assert child.parent is not None
        assert child.parent.span_id == command.context.span_id
    times = [(span.start_time, span.end_time) for span in (command, request, transfer)]
    assert times == [(100 * 10**9, 103 * 10**9), (10075 * 10**7, 101 * 10**9), (102 * 10**9, 102 * 10**9)]
    assert dict(request.attributes or {}) == {
        "http.request.method": "GET",
        "url.full": URL,
        "server.address": "api.acme.example",
        "server.port": 443,
        "http.response.status_code": 200,
        "http.request.body.size": 0,
        "http.response.body.size": 12,
    }
    assert dict(transfer.attributes or {}) == {
        "algo.transfer.source": "data://.my/x",
        "algo.transfer.target": "/tmp/x",
        "algo.transfer.checksum": "md5:0",
        "file.size": 12,
    }
    assert (command.attributes or {})["process.exit.code"] == 0
    assert {span.status.status_code.name for span in (command, request, transfer)} == {"UNSET"}


@pytest.mark.parametrize(
    ("event", "error", "said"),
    [
        (RequestEnded("GET", URL, 404, 0, 1, 0.1, 1.0), "404", None),
        (RequestEnded("PUT", URL, 503, 0, 1, 0.1, 1.0), "503", None),
        (RequestEnded("GET", "local:/v1/data", None, 0, None, 0.1, 1.0), "no_response", None),
        (TransferEnded("a", "", None, None, "There is no a", 1.0), "transfer_failed", "There is no a"),
        (CommandEnded("cp", 5, 1.0, 2.0), "5", None),
    ],
)
def test_what_failed_is_marked(
    spans_of: Callable[..., list[ReadableSpan]], event: Event, error: str, said: str | None
) -> None:
    span = spans_of(CommandStarted("cp", 1.0), event)[0]
    assert (span.attributes or {})["error.type"] == error
    assert (span.status.status_code.name, span.status.description) == ("ERROR", said)


class Collector(ThreadingHTTPServer):
    """Takes spans as OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.received: list[bytes] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def spans(self) -> list[Any]:
        found = []
        for content in self.received:
            request = ExportTraceServiceRequest()
            request.ParseFromString(content)
            found += [span for of in request.resource_spans for each in of.scope_spans for span in each.spans]
        return found


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        is_packed = self.headers.get("Content-Encoding") == "gzip"
        self.server.received.append(gzip.decompress(content) if is_packed else content)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def traced(algo_home: Home, add_plugin: Callable[..., None]) -> Home:
    """A home where the example is installed."""
    sources = {path.stem: path.read_text("utf-8") for path in PACKAGE.glob("*.py") if path.stem != "__init__"}
    add_plugin("algo-otel", sources.pop("plugin"), **sources)
    return algo_home


def test_a_collector_gets_the_trace_of_a_command_and_no_secret(
    traced: Home, collector: Collector, stub: StubPlatform
) -> None:
    environ = {
        "ALGORITHMIA_API": stub.address,
        "ALGORITHMIA_API_KEY": KEY,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "TRACEPARENT": TRACEPARENT,
    }
    stub.on("POST", "/v1/algo/demo/Hello", stub.json_answer({"result": "hi", "metadata": {"content_type": "text"}}))
    result = traced.run("run", "demo/Hello", "-d", "secret input", environ=environ)
    assert (result.code, result.stderr) == (ExitCode.OK, "")
    command = next(span for span in collector.spans if span.name == "algo run")
    children = [span for span in collector.spans if span is not command and span.name != command.name]
    assert (command.trace_id.hex(), command.parent_span_id.hex()) == (TRACE, PARENT)
    assert [span.name for span in children] == ["POST"]
    assert {span.parent_span_id for span in children} == {command.span_id}
    sent = b"".join(collector.received)
    assert b"/v1/algo/demo/Hello" in sent
    for secret in (KEY, "secret input"):
        assert secret.encode() not in sent


def test_a_collector_that_is_down_costs_one_warning(traced: Home) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    result = traced.run("config", "list", "--json", environ=environ)
    assert result.code == ExitCode.OK
    (line,) = result.stderr.splitlines()
    assert json.loads(line)["warning"]["message"].startswith("spans were not sent: ")


def test_spans_may_go_to_the_console(traced: Home) -> None:
    result = traced.run("config", "list", environ={"OTEL_TRACES_EXPORTER": "console"})
    assert (result.code, '"name": "algo config list"' in result.stderr) == (ExitCode.OK, True)
    assert '"name"' not in result.text


def test_an_exporter_that_is_none_is_told_and_the_command_goes_on(traced: Home) -> None:
    result = traced.run("config", "list", environ={"OTEL_TRACES_EXPORTER": "zipkin"})
    assert result.code == ExitCode.OK
    assert result.stderr.count("write otlp, console or none") == 1


@pytest.mark.parametrize("words", [["--help"], ["ls"], ["config", "list"]])
def test_nothing_of_it_is_imported_before_it_is_wanted(traced: Home, words: list[str]) -> None:
    code = (
        f"import sys\nfrom algo_core.main import run\nrun({words!r})\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry') or name == 'algo_otel.tracing']"
    )
    traced.run("--help")  # the index is there
    done = subprocess.run([sys.executable, "-c", code], env=traced.environ, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.OK, done.stderr
