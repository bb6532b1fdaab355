"""`--json`: what programs read, on either stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from algo_core.testing import Home

ODD = "caf\udce9"
"""A name that is not UTF-8: its last byte is E9."""


def objects(text: str | bytes) -> list[Any]:
    """The JSON objects on the lines of what a command has written, every one of which has to be one."""
    found = [json.loads(line) for line in (text.decode("utf-8") if isinstance(text, bytes) else text).splitlines()]
    assert all(isinstance(value, dict) for value in found)
    return found


def test_what_is_known_of_a_name_that_is_not_unicode_is_valid_json_too(home, data_platform, work: Path):
    (work / ODD).write_bytes(b"x")
    for command in ("stat", "du"):
        assert objects(home.run(command, "--json", f"./{ODD}", cwd=work).stdout)[0]["uri"] == f"./{ODD}"
    assert objects(home.run("rm", "--json", f"./{ODD}", cwd=work).stdout)[0]["path"] == f"./{ODD}"


def test_remarks_for_a_person_are_left_out(algo_home: Home):
    assert algo_home.run("ls").stderr.startswith("Using the embedded platform")
    assert algo_home.run("ls", "--json").stderr == ""


@pytest.mark.parametrize(
    "arguments", [["cp", "--nope", "--json"], ["cp", "--json", "--from-file"], ["ls", "--json", "-x"]]
)
def test_a_command_line_that_is_wrong_is_answered_as_json_wherever_that_was_asked_for(home, data_platform, arguments):
    (told,) = objects(home.run(*arguments).stderr)
    assert told["error"]["type"] == "UsageError"
    assert told["error"]["hint"].endswith(f"See: algo {arguments[0]} --help")
