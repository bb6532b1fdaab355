"""Calls algorithms on their sample inputs, when they are published."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlgorithmFailed
from algo_local.algorithms.configuration import read_configuration
from algo_local.algorithms.directory_publication import Sample, TryIt
from algo_local.callers import CallContext
from algo_local.execution.payload import Payload
from algo_local.execution.workers.stack_traces import own_files, own_frames

if TYPE_CHECKING:
    from algo_local.algorithms.build import Build
    from algo_local.algorithms.registry import Algorithm
    from algo_local.execution.payload import Outcome
    from algo_local.platform import Platform

SECONDS = 300.0
"""Time limit of a call with a sample."""


def sample_call(platform: Platform, directory: Path, owner: str, name: str) -> TryIt:
    """What calls a build on the sample input of its directory, else on that of the algorithm, if there is one.

    It raises AlgorithmFailed if that fails.
    """

    def try_it(build: Build, known: Algorithm | None) -> Sample:
        text = read_configuration(directory).sample_input or (known.sample_input if known else "")
        if not text:
            return Sample()
        if known and known.has_secrets:
            build = replace(build, secrets=tuple(platform.secrets.environment(known.id).items()))
        outcome = call(platform, build, payload_of(text), (owner, name))
        if outcome.failure or not outcome.result:
            raise _failed(platform, outcome, directory)
        return Sample(text, _as_json(outcome.result))

    return try_it


def call(platform: Platform, build: Build, payload: Payload, names: tuple[str, str]) -> Outcome:
    """Call a build for the platform's own user, without a record."""
    request = f"req-{uuid.uuid4()}"
    context = CallContext(platform.account, names, request, request)
    try:
        return platform.executor.call(build, payload, timeout=SECONDS, context=context)
    finally:
        platform.hosted.end_session(request)


def payload_of(text: str) -> Payload:
    """A sample input, which is JSON, as it is handed over; other text as it is."""
    try:
        return Payload("json", json.loads(text))
    except ValueError:
        return Payload("text", text)


def _as_json(result: Payload) -> str:
    return "" if result.content_type == "binary" else json.dumps(result.data, ensure_ascii=False)


def _failed(platform: Platform, outcome: Outcome, directory: Path) -> AlgorithmFailed:
    failure = outcome.failure
    shown: dict[str, Any] = {}
    message = "it gave no result"
    if failure:
        processes = platform.root / "processes"
        message = own_files(failure.message, processes, str(directory))
        trace = failure.stacktrace and own_frames(
            own_files(failure.stacktrace, processes, str(directory)), str(directory)
        )
        shown = {"error_type": failure.error_type, "stacktrace": trace}
    return AlgorithmFailed(f"The call with the sample input failed: {message}", **shown)
