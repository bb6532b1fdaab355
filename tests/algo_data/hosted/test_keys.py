"""Keys of object stores behind a platform that does not take them as they are written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from algo_core.errors import ExitCode
from algo_core.testing import Home


def test_a_platform_that_takes_a_key_for_another_is_not_asked_to_change_it(
    home: Home, data_platform: Any, work: Path
) -> None:
    """One that drops empty components, as of hosted data, and does not say which path it has served."""
    key = "connector/s3/bucket/p/ok"
    data_platform.directories |= {"connector/s3/bucket", "connector/s3/bucket/p"}
    data_platform.files[key] = b"another file"
    drops = re.compile("/+")
    data_platform.normalise = lambda path: drops.sub("/", path)
    (work / "new").write_text("new")
    for command in (
        ("cat", "s3://bucket/p//ok"),
        ("rm", "s3://bucket/p//ok"),
        ("rm", "s3://bucket/p/ok/"),
        ("cp", "new", "s3://bucket/p//ok"),
        ("mv", "s3://bucket/p//ok", "here"),
        ("rm", "-r", "s3://bucket//p"),
        ("rmdir", "-f", "s3://bucket//p"),
    ):
        done = home.run(*command, cwd=work)
        assert (done.code, "with another path" in done.stderr) == (ExitCode.PLATFORM, True), (command, done.stderr)
    assert data_platform.files == {key: b"another file"}
    assert not data_platform.requests("PUT") + data_platform.requests("DELETE")
    assert home.run("cat", "s3://bucket/p/ok").stdout == b"another file"
    assert home.run("ls", "s3://bucket/p/").text == "s3://bucket/p/ok\n"
