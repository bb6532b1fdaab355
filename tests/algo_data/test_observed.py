"""Transfers and their requests are told to observers, those of helper processes as well."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import ExitCode

COUNT = 700
NAMES = [f"f{number:03}" for number in range(COUNT)]
OBSERVER = """
import json, os
from algo_core import hookimpl

@hookimpl
def algo_observe(event):
    with open(os.environ["AUDIT"], "a") as log:
        log.write(json.dumps({"event": type(event).__name__, **event._asdict()}) + "\\n")
"""
PATIENT = """
import sys
from algo_core.main import main
from algo_data.engine.run import processes, runner
runner.MOMENT = 60  # helper processes are wanted, however busy the machine is
made = processes.processes_for
def counted(*arguments):
    found = made(*arguments)
    sys.stderr.write(f"{len(found)} helper processes\\n")
    return found
runner.processes_for = counted
sys.argv[0] = "algo"
main()
"""


@pytest.fixture
def audit_by_kind(home, data_platform, tmp_path):
    """Runs a command with an observer; its exit code and text on stderr, and what was told, by kind."""
    package = tmp_path / "site" / "acme"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(OBSERVER)
    info = tmp_path / "site" / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[algo.plugins]\nacme = acme.plugin\n")
    log = tmp_path / "audit.jsonl"

    def run(*words: str | Path) -> tuple[int, str, dict[str, list[dict[str, Any]]]]:
        import subprocess

        log.write_text("")
        environ = {**home.environ, "PYTHONPATH": str(tmp_path / "site"), "AUDIT": str(log)}
        done = subprocess.run(
            [sys.executable, "-c", PATIENT, *map(str, words)], env=environ, capture_output=True, text=True
        )
        told: dict[str, list[dict[str, Any]]] = {}
        for line in log.read_text().splitlines():
            event = json.loads(line)
            told.setdefault(event["event"], []).append(event)
        return done.returncode, done.stderr, told

    return run


@pytest.mark.parametrize("is_down", [True, False])
def test_many_small_files(audit_by_kind, data_platform, work, is_down):
    if is_down:
        data_platform.files |= {f"data/.my/c/{name}": name.encode() for name in NAMES}
        words = ["cp", "data://.my/c/*", work]
    else:
        for name in NAMES:
            (work / name).write_text(name)
        words = ["cp", *(work / name for name in NAMES), "data://.my/c"]
    code, said, told = audit_by_kind(*words)
    assert code == ExitCode.OK, said
    if sys.platform == "linux":
        assert "0 helper processes" not in said
    transfers = told["TransferEnded"]
    assert len(transfers) == COUNT
    assert {event["target" if is_down else "source"].rpartition("/")[2] for event in transfers} == set(NAMES)
    assert {(event["size"], event["error"]) for event in transfers} == {(4, None)}
    method, kind = ("GET", "received") if is_down else ("PUT", "sent")
    files = [event for event in told["RequestEnded"] if event["method"] == method and event[kind] == 4]
    assert Counter(event["url"].rpartition("/")[2] for event in files) == Counter(NAMES)
    assert {event["status"] for event in files} == {200}
    assert len(told["RequestEnded"]) == len(data_platform.log)


def test_a_large_file_has_its_checksum(audit_by_kind, data_platform, work):
    content = bytes(range(256)) * 20_000
    data_platform.files["data/.my/c/large"] = content
    code, said, told = audit_by_kind("cp", "data://.my/c/large", work / "large")
    assert code == ExitCode.OK, said
    (event,) = told["TransferEnded"]
    assert (event["source"], event["size"], event["error"]) == ("data://.my/c/large", len(content), None)
    assert event["checksum"] in (None, f"md5:{hashlib.md5(content).hexdigest()}")


def test_what_fails_is_told_with_its_cause(audit_by_kind, data_platform, work):
    data_platform.files["data/.my/c/there"] = b"content"
    code, _, told = audit_by_kind("cp", "data://.my/c/missing", "data://.my/c/there", work)
    assert code == ExitCode.NOT_FOUND
    failed, copied = sorted(told["TransferEnded"], key=lambda event: event["source"])
    assert (failed["source"], failed["size"], bool(failed["error"])) == ("data://.my/c/missing", None, True)
    assert (copied["source"], copied["size"], copied["error"]) == ("data://.my/c/there", 7, None)
    assert [found["exit_code"] for found in told["CommandEnded"]] == [ExitCode.NOT_FOUND]
