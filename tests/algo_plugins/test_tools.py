"""What tools print, in the shapes that their versions have, and what of it is shown."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from algo_core.plugins.isolated import Isolated, installed
from algo_plugins.installer.present import conflicts, needed_by, standard
from algo_plugins.installer.sources import redacted
from algo_plugins.installer.tools import UNKNOWN, Change, Uv, name_in
from algo_plugins.installer.wanted import read


class Installed:
    def __init__(self, version: str, *requires: str) -> None:
        self.version = version
        self.requires = list(requires)
        self.entry_points = ()

    def read_text(self, filename: str) -> None:
        return None


@pytest.mark.parametrize(
    ("line", "change"),
    [
        (" + Acme_Greet==1.0", Change("acme-greet", "1.0")),
        (" + acme==1.0 (from file:///a/acme-1.0-py3-none-any.whl)", Change("acme", "1.0", "file:///a/acme-1.0-py3-none-any.whl")),
        (" + acme @ file:///a/acme-1.0-py3-none-any.whl", Change("acme", "1.0", "file:///a/acme-1.0-py3-none-any.whl")),
        (" + acme @ file:///a/acme", Change("acme", UNKNOWN, "file:///a/acme")),
        (" - acme==0.9", None),
        ("Resolved 3 packages in 2ms", None),
    ],
)  # fmt: skip
def test_what_a_dry_run_of_uv_says(tmp_path, line: str, change: Change | None) -> None:
    fake = tmp_path / "uv"
    fake.write_text(f"#!/bin/sh\necho 'Would install'\necho '{line}' >&2\n")
    fake.chmod(0o755)
    assert Uv(str(fake), {}, target="python").resolve(["acme"]) == ([change] if change else [])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at https://me:secret@host/simple/x", "at https://****@host/simple/x"),
        ("'https://token@host/x'", "'https://****@host/x'"),
        ("git+ssh://git@host/x.git", "git+ssh://****@host/x.git"),
        ("with url: /simple?key=secret/acme/ (x)", "with url: /simple?**** (x)"),
        ("https://host/x.whl?sig=s&se=t#sha256=1", "https://host/x.whl?****#sha256=1"),
        ("acme @ file:///a/b", "acme @ file:///a/b"),
        ("Would you like to? yes", "Would you like to? yes"),
    ],
)
def test_secrets_are_taken_out(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_names_in_requirements(tmp_path) -> None:
    assert name_in("Acme_Greet[x]>=1") == "acme-greet"
    assert name_in("acme@https://host/x") == "acme"
    assert read("acme@https://host/x").name == "acme"
    wheel = tmp_path / "acme_greet-1.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    assert read(str(wheel)) == (f"acme-greet @ {wheel.as_uri()}", "acme-greet")
    sdist = tmp_path / "acme-greet-1.0.tar.gz"
    sdist.write_bytes(b"")
    assert read(str(sdist)).name == "acme-greet"
    assert read(str(tmp_path)) == (str(tmp_path), None)


def test_conflicts_are_those_that_a_change_makes() -> None:
    installed = {
        "a": Installed("1", "lib>=2", "other; python_version < '3'", "more; extra == 'x'"),
        "b": Installed("1", "lib<2"),
        "c": Installed("1", "Lib>=2,!=2.5"),
        "d": Installed("1", "absent<3"),
        "e": Installed("1", "not a requirement at all"),
        "lib": Installed("2.1"),
    }

    def found(*changes: Change) -> list[str]:
        return [str(conflict) for conflict in conflicts(installed, changes)]

    assert found(Change("lib", "2.2")) == []
    assert found(Change("lib", "2.5")) == ["c 1 needs Lib!=2.5,>=2, and would get lib 2.5"]
    assert len(found(Change("lib", "1.0"))) == 2
    assert found(Change("lib", "1.0"), Change("a", "2"), Change("c", "2")) == []
    assert found(Change("absent", "3.0")) == ["d 1 needs absent<3, and would get absent 3.0"]
    assert found(Change("other", "1"), Change("more", "1")) == []
    assert found(Change("lib", UNKNOWN)) == []
    assert len(found(Change("lib", "not-a-version"))) == 2


def test_who_needs_what_is_removed() -> None:
    installed = {"a": Installed("1", "b"), "b": Installed("1"), "c": Installed("1", "b; extra == 'x'")}
    assert [str(found) for found in needed_by(installed, ["b"])] == ["a 1 needs b"]
    assert needed_by(installed, ["a", "b"]) == []


def test_the_standard_plugins_are_those_that_the_core_names() -> None:
    core = Installed("1", "click", "tomli; python_version < '3.11'", "Algo_Run; extra == 'standard'", "k; extra == 'y'")
    assert standard({"algo-core": core}) == {"algo-run"}


def test_damaged_facts_of_an_isolated_plugin_end_nothing(tmp_path) -> None:
    facts = Isolated("acme", "1.0", "acme>=1", None, {"greet": "Say it."}, ["greet"])
    place = tmp_path / "isolated" / "acme"
    place.mkdir(parents=True)
    whole = json.dumps(asdict(facts)).encode()
    environ = {"ALGO_DATA_DIR": str(tmp_path)}
    file = place / "algo-isolated.json"
    file.write_bytes(whole)
    assert installed(environ) == {"acme": facts}
    wrong = [
        whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in (1, 2, 0xFF)
    ]
    wrong += [whole[:at] for at in range(len(whole))]
    wrong += [
        json.dumps({**asdict(facts), name: value}).encode()
        for name in asdict(facts)
        for value in (None, 3, [3], {"x": 3})
    ]
    wrong += [b"[]", b"3", b"null", b"{}"]
    for damaged in wrong:
        file.write_bytes(damaged)
        for plugin in installed(environ).values():
            assert all(isinstance(text, str) for text in (plugin.name, *plugin.commands, *plugin.commands.values()))
