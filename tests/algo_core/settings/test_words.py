"""A setting can say its allowed words: files, variables, commands and completion go by them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from algo_core.cli import build
from algo_core.context import App
from algo_core.errors import ConfigError
from algo_core.settings import schema
from algo_core.settings.config import SETTINGS, Config, Setting, parse_text
from algo_core.settings.values import one_of

WORDS = ("auto", "required", "off")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setitem(SETTINGS, "shade", Setting(WORDS, "auto", "ALGO_SHADE", "whether there is shade"))
    return App({"ALGO_CONFIG_DIR": str(tmp_path), "ALGO_CACHE_DIR": str(tmp_path), "ALGO_DISABLE_PLUGINS": "*"})


@pytest.mark.parametrize("word", WORDS)
def test_its_words_are_taken_from_everywhere(app: App, word: str) -> None:
    assert app.config.get("shade").value == "auto"
    assert Config.load({**app.environ, "ALGO_SHADE": f" {word} "}).get("shade").value == word
    Path(app.config.user_file).write_text(f'shade = "{word}"\n')
    assert Config.load(app.environ).get("shade").value == word


@pytest.mark.parametrize("text", ["Auto", "on", "true", "1", "auto,off", "required "])
def test_others_are_refused_and_the_words_named(app: App, text: str) -> None:
    wanted = "shade must be auto, required or off"
    if text.strip() not in WORDS:
        with pytest.raises(ConfigError, match=wanted):
            Config.load({**app.environ, "ALGO_SHADE": text}).get("shade")
        with pytest.raises(ConfigError, match=wanted):
            parse_text("shade", WORDS, text, "the command line")
    Path(app.config.user_file).write_text(f'shade = "{text}"\n')
    with pytest.raises(ConfigError, match=wanted):
        Config.load(app.environ).get("shade")


@pytest.mark.parametrize("value", [True, 1, 1.0, ["auto"], {}, None])
def test_what_is_no_text_is_none_of_the_words(value: object) -> None:
    assert one_of(WORDS)(value) == "auto, required or off"
    assert one_of(("only",))(value) == "only"


def test_the_schema_of_files_follows(app: App) -> None:
    check = schema._settings()["shade"]
    assert not isinstance(check, schema.Table)
    assert check("off") is None
    assert check("on") == "auto, required or off"


@pytest.mark.parametrize(
    ("key", "typed", "offered"),
    [("shade", "", list(WORDS)), ("shade", "r", ["required"]), ("insecure_http", "", ["true", "false"]),
     ("timeout", "", []), ("nope", "", [])],
)  # fmt: skip
def test_completion_offers_them(app: App, key: str, typed: str, offered: list[str]) -> None:
    root = build()
    with click.Context(root, info_name="algo", obj=app) as ctx:
        group = root.get_command(ctx, "config")
        assert isinstance(group, click.Group)
        command = group.commands["set"]
        below = click.Context(command, info_name="set", parent=ctx, obj=app)
        below.params["key"] = key
        value = next(parameter for parameter in command.params if parameter.name == "value")
        assert [item.value for item in value.shell_complete(below, typed)] == offered
