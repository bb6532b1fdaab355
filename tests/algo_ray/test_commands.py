"""What pages and manifests have Ray do is what its command line knows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
import yaml
from support.environments import ROOT

PAGES = ("docs/scaling.md", "deploy/README.md", "plugins/algo_ray/README.md")


def printed() -> Iterator[list[str]]:
    """Commands of pages, of manifests, and those that the operator makes of the parameters of a cluster."""
    for page in PAGES:
        text = (ROOT / page).read_text("utf-8")
        for found in re.findall(r"(?:^    (?:\$ )?|`)(?:\w+=\S+ )*(ray [a-z][^`\n#]*)", text, re.MULTILINE):
            yield shlex.split(found)
    for path in (ROOT / "deploy" / "kubernetes").glob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            yield from commands_of(document)


def commands_of(document: object) -> Iterator[list[str]]:
    if isinstance(document, list):
        for each in document:
            yield from commands_of(each)
    elif isinstance(document, dict):
        command = document.get("command")
        if isinstance(command, list) and command[0] == "ray":
            yield command
        if "rayStartParams" in document:
            yield ["ray", "start", *(f"--{name}={value}" for name, value in document["rayStartParams"].items())]
        for each in document.values():
            yield from commands_of(each)


COMMANDS = list(printed())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_is_one_that_ray_knows(words: list[str]) -> None:
    parse(words)
    with pytest.raises(click.NoSuchOption):
        parse([*words, "--no-such-option"])


def parse(words: list[str]) -> None:
    from ray.scripts.scripts import cli

    command = cli.commands[words[1]]
    command.make_parser(click.Context(command)).parse_args(words[2:])


def test_commands_of_pages_and_manifests_are_found() -> None:
    starts = [words for words in COMMANDS if words[:2] == ["ray", "start"]]
    assert any("--address" in words for words in starts)
    assert any("--num-cpus=0" in words for words in starts), "of a manifest"
    assert ["ray", "get-auth-token", "--generate"] in COMMANDS
