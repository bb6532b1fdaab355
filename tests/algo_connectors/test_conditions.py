"""Writes on a condition: `cp --no-clobber` beside other writers, and stores that do not compare conditions."""

from __future__ import annotations

import functools
import io
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from support.stores import Store

from algo_connectors.common.opening import open_store
from algo_connectors.s3 import S3Storage
from algo_core.errors import AlreadyExists, NotFoundError, PermissionDenied, PlatformError
from algo_core.storage.capabilities import ConditionsIgnored
from algo_core.storage.contract import Storage, VersionChanged
from algo_core.storage.uri import DataUri
from algo_data.engine.failures import Kept
from algo_data.engine.options import CopyOptions
from algo_data.engine.run import processes
from algo_data.engine.run.worker import execute
from algo_data.engine.transfer import Place, Transfer
from algo_data.local.storage import LocalStorage

from .test_s3_client import URI, Script, error

MET = (200, {"ETag": '"e"'}, b"")
UNMET = (412, {}, error("PreconditionFailed"))
DONE = (204, {}, b"")
STARTED = (200, {}, b"<R><UploadId>u</UploadId></R>")
COMPLETED = (200, {}, b'<R><ETag>"e"</ETag></R>')
AWS = "https://s3.eu-west-1.amazonaws.com"
LARGE = 8 << 20


def written(
    script: Script, version: str | None = None, *, size: int = 1, endpoint: str = "http://store.example"
) -> Any:
    return script.client(endpoint).write_if(URI, io.BytesIO(b"x" * size), size, version=version)


def conditions(script: Script) -> list[dict[str, str]]:
    """The conditions of the requests for the object itself."""
    names = ("if-none-match", "if-match")
    sent = [headers for _, url, headers, _ in script.sent if ".algo-probe-" not in url]
    return [{name: headers[name] for name in names if name in headers} for headers in sent]


@pytest.mark.parametrize(
    ("version", "header"), [(None, {"if-none-match": "*"}), ('"seen"', {"if-match": '"seen"'})], ids=["make", "replace"]
)
def test_the_request_that_makes_a_file_visible_has_the_condition(version: str | None, header: dict[str, str]) -> None:
    for endpoint in ("", AWS):  # AWS is not asked whether it knows conditions
        script = Script(MET)
        written(script, version, endpoint=endpoint)
        assert conditions(script) == [header]
        parts = Script(STARTED, MET, MET, COMPLETED)
        written(parts, version, size=LARGE + 1, endpoint=endpoint)
        assert conditions(parts) == [{}, {}, {}, header]


@pytest.mark.parametrize("in_parts", [False, True])
@pytest.mark.parametrize("version", [None, '"seen"'])
@pytest.mark.parametrize("answer", [MET, (501, {}, error("NotImplemented")), (405, {}, b"")], ids=["200", "501", "405"])
def test_a_store_that_does_not_compare_conditions_is_told_before_anything_is_written(
    answer: Any, version: str | None, in_parts: bool
) -> None:
    first = [MET] * (version is None)
    small = [*first, UNMET if in_parts else answer, DONE]
    large = [*first, STARTED, MET, COMPLETED if answer is MET else answer, DONE, DONE]
    script = Script(*small, *(large if in_parts else []))
    storage, source = script.client("http://store.example"), io.BytesIO(b"x" * (LARGE if in_parts else 1))
    for _ in range(2):  # it is asked once
        with pytest.raises(ConditionsIgnored, match="ignores"):
            storage.write_if(URI, source, len(source.getvalue()), version=version)
    assert source.tell() == 0
    assert conditions(script) == []
    assert script.answers == []
    names = {url.partition("?")[0] for _, url, _, _ in script.sent}
    assert sum(method == "DELETE" and "?" not in url for method, url, *_ in script.sent) == len(names) == 1 + in_parts
    assert all(name.startswith("http://store.example/bucket/.algo-probe-") for name in names)


def test_a_store_that_compares_conditions_is_asked_once_for_each_kind() -> None:
    script = Script(MET, UNMET, DONE, MET, UNMET, (404, {}, error("NoSuchKey")), DONE, UNMET)
    storage = script.client("http://store.example")
    storage.write_if(URI, io.BytesIO(b"x"), 1, version=None)
    with pytest.raises(AlreadyExists, match="s3://bucket/key exists"):
        storage.write_if(URI, io.BytesIO(b"x"), 1, version=None)
    with pytest.raises(VersionChanged, match="s3://bucket/key"):
        storage.write_if(URI, io.BytesIO(b"x"), 1, version='"seen"')
    assert script.answers == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((403, {}, error("AccessDenied")), PermissionDenied),
        ((404, {}, error("NoSuchBucket")), NotFoundError),
        ((409, {}, error("OperationAborted")), PlatformError),
    ],
)
def test_other_failures_are_not_taken_for_a_condition(answer: Any, kind: type[Exception]) -> None:
    for version in (None, '"seen"'):
        with pytest.raises(kind) as caught:
            written(Script(answer), version, endpoint=AWS)
        assert not isinstance(caught.value, (AlreadyExists, VersionChanged, ConditionsIgnored))


def test_a_refusal_is_not_remembered_as_an_answer() -> None:
    script = Script((403, {}, error("AccessDenied")), DONE, MET, UNMET, DONE, MET)
    storage = script.client("http://store.example")
    with pytest.raises(PermissionDenied):
        storage.write_if(URI, io.BytesIO(b"x"), 1, version=None)
    assert storage.write_if(URI, io.BytesIO(b"x"), 1, version=None).version == '"e"'


def test_a_conflict_of_the_moment_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("algo_core.http.retry.time.sleep", lambda seconds: None)
    script = Script((409, {}, error("ConditionalRequestConflict")), MET)
    assert written(script, endpoint=AWS).version == '"e"'
    assert conditions(script) == [{"if-none-match": "*"}] * 2


@pytest.mark.parametrize(("stored", "is_own"), [(b"x", True), (b"y", False), (b"xx", False), (b"", False)])
def test_a_write_whose_answer_was_lost_is_recognized(stored: bytes, is_own: bool) -> None:
    """The connection broke after the store had written: what comes again finds its own file."""
    length = {"Content-Range": f"bytes 0-0/{len(stored)}"} if len(stored) > 1 else {}
    script = Script(UNMET, (206 if length else 200, {"ETag": '"own"', **length}, stored[:1]))
    answered = script.send

    def send(*arguments: Any, **options: Any) -> Any:
        response = answered(*arguments, **options)
        response.after_lost_answer = len(script.sent) == 1
        return response

    script.send = send  # type: ignore[method-assign]
    if is_own:
        assert written(script, endpoint=AWS).version == '"own"'
    else:
        with pytest.raises(AlreadyExists):
            written(script, endpoint=AWS)


# `cp --no-clobber`


def transfer(tmp_path: Path, storage: Storage, uri: DataUri, content: bytes = b"new") -> Transfer:
    path = tmp_path / uuid.uuid4().hex
    path.write_bytes(content)
    return Transfer(Place(LocalStorage(), DataUri("file", str(path))), Place(storage, uri))


@pytest.mark.parametrize("size", [3, LARGE + 1])
def test_a_file_that_appeared_since_it_was_looked_for_is_kept(tmp_path: Path, seaweed: Store, size: int) -> None:
    storage, uri = seaweed.open(), seaweed.uri(uuid.uuid4().hex)
    options = CopyOptions(keeps_existing=True)
    execute(transfer(tmp_path, storage, uri, b"o" * size), lambda *_, **__: None, options)
    with pytest.raises(Kept, match=uri.path):
        execute(transfer(tmp_path, storage, uri, b"n" * size), lambda *_, **__: None, options)
    assert storage.read_small(uri, 2 * LARGE)[1] == b"o" * size  # type: ignore[index]  # it is there
    execute(transfer(tmp_path, storage, uri), lambda *_, **__: None, CopyOptions())
    assert storage.stat(uri).size == 3


@pytest.mark.parametrize("content", [b"", b"new"])
def test_a_copy_within_a_store_that_is_too_late_is_none(seaweed: Store, content: bytes) -> None:
    storage, source, target = seaweed.open(), seaweed.uri(uuid.uuid4().hex), seaweed.uri(uuid.uuid4().hex)
    for uri, stored in ((source, content), (target, b"older")):
        storage.write_small(uri, stored)
    within, options = Transfer(Place(storage, source), Place(storage, target)), CopyOptions(keeps_existing=True)
    with pytest.raises(Kept):
        execute(within, lambda *_, **__: None, options)
    assert storage.read_small(target, 10)[1] == b"older"  # type: ignore[index]  # it is there
    storage.remove(target)
    execute(within, lambda *_, **__: None, options)
    assert storage.read_small(target, 10)[1] == content  # type: ignore[index]  # it is there


def test_a_move_within_a_store_that_is_too_late_keeps_its_source(seaweed: Store) -> None:
    storage, source, target = seaweed.open(), seaweed.uri(uuid.uuid4().hex), seaweed.uri(uuid.uuid4().hex)
    for uri in (source, target):
        storage.write_small(uri, uri.path.encode())
    with pytest.raises(Kept):
        execute(
            Transfer(Place(storage, source), Place(storage, target), removes_source=True),
            lambda *_, **__: None,
            CopyOptions(keeps_existing=True),
        )
    assert storage.exists(source)
    assert storage.read_small(target, 100)[1] == target.path.encode()  # type: ignore[index]  # it is there


def test_where_conditions_are_ignored_it_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    script = Script(MET, MET, DONE, MET, MET)
    storage = script.client("http://store.example")
    options = CopyOptions(keeps_existing=True, warn=functools.cache(said.append))
    for _ in range(2):
        execute(transfer(tmp_path, storage, URI), lambda *_, **__: None, options)
    (text,) = said
    assert "s3:// ignores the conditions" in text
    assert conditions(script) == [{}, {}]


def test_helper_processes_do_not_write_without_the_condition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(processes, "CopyProcess", lambda *arguments: made.append(arguments))
    monkeypatch.setattr(processes.threading, "enumerate", list)
    monkeypatch.setattr(processes.os, "sched_getaffinity", lambda pid: {0, 1})
    storage = Script().client()
    monkeypatch.setattr(storage, "can_fork", lambda: True)
    planned = [transfer(tmp_path, storage, URI)] * 1000
    processes.processes_for(planned, CopyOptions(keeps_existing=True))
    assert made == []
    processes.processes_for(planned, CopyOptions())
    assert len(made) == 2


def test_of_two_programs_that_copy_at_once_one_copies(tmp_path: Path, seaweed: Store) -> None:
    options = "".join(f'{name} = "{value}"\n' for name, value in seaweed.options.items())
    (tmp_path / "config.toml").write_text(f"[connectors.s3]\ndirect = true\n{options}")
    environ = {"ALGO_CONFIG_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": ""}
    target = str(seaweed.uri(uuid.uuid4().hex))
    running = []
    for content in ("one", "two"):
        (tmp_path / content).write_text(content)
        command = [sys.executable, "-m", "algo_core", "cp", "-n", "--json", str(tmp_path / content), target]
        pipe = subprocess.PIPE
        running.append(subprocess.Popen(command, env=environ, stdout=pipe, stderr=pipe, text=True))
    outputs = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    told = [json.loads(line)["summary"] for _, err in outputs for line in err.splitlines() if '"summary"' in line]
    assert sorted((one["copied"], one["skipped"], one["failed"]) for one in told) == [(0, 1, 0), (1, 0, 0)], outputs
    won = "one" if told[0]["copied"] else "two"
    storage = open_store("s3", seaweed.options)
    assert isinstance(storage, S3Storage)
    uri = DataUri("s3", target.partition("://")[2])
    assert storage.read_small(uri, 10)[1] == won.encode()  # type: ignore[index]  # it is there
