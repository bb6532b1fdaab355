"""The executor's contract: the local pool keeps it, and so does one of a hundred lines in this process."""

from __future__ import annotations

import io
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from support.programs import needs

from algo_local.algorithms.build import Build
from algo_local.callers import CallContext
from algo_local.execution.executor import Description, Executor
from algo_local.execution.payload import SHUTTING_DOWN, Failure, Outcome, Payload
from algo_local.execution.protocol import CANNOT_RUN
from algo_local.execution.workers.local_pool import LocalPool
from algo_local.testing import JAVASCRIPT, ExecutorContract


class FixedEndpoint:
    address = "http://127.0.0.1:9"

    def serve_also(self, listener: Any) -> Callable[[], None]:
        return listener.close  # type: ignore[no-any-return]  # a socket's


class TestLocalPool(ExecutorContract):
    @pytest.fixture(params=["sandbox", "plain"])
    def executor(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Executor]:
        yield from self.pool(request.param, tmp_path, monkeypatch)

    def pool(self, confinement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
        if confinement == "plain":
            monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "off")
        else:
            needs("bwrap")
            monkeypatch.setenv("ALGO_LOCAL_SANDBOX", "required")
            monkeypatch.setenv("ALGO_LOCAL_SANDBOX_PATHS", f"{tmp_path}=rw")
            tmp_path.chmod(0o777)
        pool = LocalPool(FixedEndpoint, tmp_path / "root" / "processes")
        pool.start()
        yield pool
        pool.close()


class TestJavaScript(TestLocalPool):
    """The same in Node.js, which the same supervisor runs in the same way."""

    programs = JAVASCRIPT

    @pytest.fixture
    def executor(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
        needs("node")
        yield from self.pool("sandbox", tmp_path, monkeypatch)


class _Ended(BaseException):
    """Raised inside an algorithm that is to end."""


class _Told(io.StringIO):
    """Passes on what is printed."""

    def __init__(self, kept: io.StringIO, on_output: Callable[[bytes], None] | None) -> None:
        super().__init__()
        self._kept, self._on_output = kept, on_output

    def write(self, text: str) -> int:
        if self._on_output:
            self._on_output(text.encode())
        return self._kept.write(text)


class InProcess:
    """Runs algorithms in this process, one call at a time: what the contract demands, and nothing else."""

    def __init__(self) -> None:
        self._one = threading.Lock()
        self._changed = threading.Condition()
        self._modules: dict[tuple[Path, str], dict[str, Any]] = {}
        self._contexts: dict[str, CallContext] = {}
        self._ends: dict[str, Failure] = {}
        self._closed = False

    def start(self) -> None:
        self._closed = False

    def call(
        self,
        build: Build,
        payload: Payload,
        *,
        timeout: float,
        context: CallContext,
        on_start: Callable[[str], None] | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        deadline = time.monotonic() + timeout
        if self._closed:
            return Outcome(None, SHUTTING_DOWN, 0.0, "")
        with self._one:
            token, printed, began = secrets.token_hex(8), io.StringIO(), time.monotonic()
            self._contexts[token] = context
            if on_start:
                on_start("in-process")

            def watch(frame: Any, event: str, argument: Any) -> Any:
                if time.monotonic() > deadline or context.request_id in self._ends:
                    raise _Ended
                return watch

            before = sys.gettrace()
            os.environ["ALGORITHMIA_API_KEY"] = token
            sys.settrace(watch)
            try:
                with redirect_stdout(_Told(printed, on_output)):
                    module = self._module(build, context.caller)
                    data = module["apply"](payload.data)
                sys.settrace(before)
                kind = "text" if isinstance(data, str) else "binary" if isinstance(data, bytes) else "json"
                return Outcome(Payload(kind, data), None, time.monotonic() - began, printed.getvalue())
            except _Ended:
                failure = self._ends.get(context.request_id, Failure(CANNOT_RUN, "TimeoutError"))
            except Exception as error:
                failure = Failure(str(error))
            finally:
                sys.settrace(before)
                with self._changed:
                    del self._contexts[token]
                    self._ends.pop(context.request_id, None)
                    self._changed.notify_all()
            return Outcome(None, failure, time.monotonic() - began, printed.getvalue())

    def _module(self, build: Build, account: str) -> dict[str, Any]:
        key = build.source, account
        if key not in self._modules:
            module: dict[str, Any] = {}
            exec((build.source / f"{build.module.replace('.', '/')}.py").read_text(), module)
            self._modules[key] = module  # a whole one, wherever the call was ended
        return self._modules[key]

    def _end(self, failure: Failure, identifier: str | None = None) -> bool:
        with self._changed:
            found = [context.request_id for context in self._contexts.values()]
            ended = [one for one in found if identifier in (None, one)]
            self._ends.update(dict.fromkeys(ended, failure))
        return bool(ended)

    def cancel(self, request_id: str) -> bool:
        return self._end(Failure("The call was cancelled", "SystemError", ended="cancelled"), request_id)

    def context_of(self, token: str) -> CallContext | None:
        return self._contexts.get(token)

    def describe(self) -> Description:
        return Description(len(self._contexts), len(self._contexts), 0, 0)

    def drain(self, seconds: float) -> bool:
        self._closed = True
        with self._changed:
            return self._changed.wait_for(lambda: not self._contexts, seconds)

    def close(self) -> None:
        self._closed = True
        self._end(SHUTTING_DOWN)
        self.drain(60)


class TestInProcess(ExecutorContract):
    @pytest.fixture
    def executor(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
        monkeypatch.setenv("ALGORITHMIA_API_KEY", "")
        executor = InProcess()
        executor.start()
        yield executor
        executor.close()
