"""What answering a request imports: the table may grow, an embedded command must not become slower by it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from algo_core.errors import ExitCode

PROBE = """
import json, sys
from pathlib import Path
from algo_local.platform import Platform
from algo_local.web.app import Application
from algo_local.web.http import Request
platform = Platform(Path(sys.argv[1]))
platform.account
before = set(sys.modules)
application = Application(platform, trusted=True)
assert application.answer(Request("GET", sys.argv[2], {})).status == 200
print(json.dumps([sorted(set(sys.modules) - before), sorted(sys.modules)]))
"""
HEAVY = {"asyncio", "cryptography", "fastjsonschema", "http.client", "requests", "ssl", "urllib.request", "urllib3"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "/v1/data/",
            {
                "data",
                "data.directory",
                "data.digests",
                "data.hosted",
                "data.incoming",
                "data.media_types",
                "data.objects",
                "data.open_listings",
                "data.path_resolver",
                "web.data_requests",
                "web.handlers.data",
                "web.ranges",
            },
        ),
        ("/v1/algorithm-environments/edge/languages", {"web.handlers.environments"}),
        (
            "/v1/algorithms/demo/Hello",
            {
                "metadata.scms",
                "metadata.vault",
                "web.handlers.algorithms",
                "web.algorithm_objects",
                "web.pages",
                "times",
            },
        ),
    ],
)
def test_a_request_imports_its_handler_and_what_that_needs(tmp_path: Path, path: str, expected: set[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, str(tmp_path), path], capture_output=True, text=True)
    assert done.returncode == ExitCode.OK, done.stderr
    new, loaded = (set(found) for found in json.loads(done.stdout))
    ours = {name.removeprefix("algo_local.") for name in new if name.startswith("algo_local.")}
    assert ours == {*expected, "web.handlers"}
    assert loaded & HEAVY == set()
