"""What a change replaces is put back, wherever it was interrupted."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import importlib_metadata
import pytest

from algo_plugins.installer.saved import CHANGES, Kept, Saved, begin, paths_of

SITE = "lib/python3/site-packages"
OLD = {
    "acme/__init__.py": "old = 1\n",
    "acme/gone.py": "only in the old\n",
    "acme/sub/deep.py": "old\n",
    "acme-1.0.dist-info/METADATA": "Name: acme\nVersion: 1.0\nRequires-Dist: lib<2\n",
    "acme-1.0.dist-info/INSTALLER": "pip",
}
NEW = {
    "acme/__init__.py": "new = 2\n",
    "acme/more.py": "only in the new\n",
    "acme/sub/deep.py": "new\n",
    "acme-2.0.dist-info/METADATA": "Name: acme\nVersion: 2.0\n",
    "extra/__init__.py": "",
}


class Prepared:
    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.site = prefix / SITE
        self.put(OLD)
        self.write("bin/acme", "#!old\n")
        record = [*OLD, "../../../bin/acme", "acme-1.0.dist-info/RECORD"]
        self.put({"acme-1.0.dist-info/RECORD": "".join(f"{path},,\n" for path in record)})
        self.put({"other/__init__.py": "stays\n", "other-1.dist-info/METADATA": "Name: other\nVersion: 1\n"})
        self.write("pipx_metadata.json", json.dumps({"injected_packages": {"acme": {"version": "1.0"}, "other": {}}}))

    def write(self, path: str, text: str) -> None:
        file = self.prefix / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)  # as tools do
        file.write_text(text)

    def put(self, files: dict[str, str]) -> None:
        for path, text in files.items():
            self.write(f"{SITE}/{path}", text)

    def installed(self) -> dict[str, importlib_metadata.Distribution]:
        found = importlib_metadata.distributions(path=[str(self.site)])
        return {d.metadata["Name"]: d for d in found if d.read_text("METADATA")}

    def tree(self) -> dict[str, str]:
        files = (path for path in self.prefix.rglob("*") if path.is_file())
        found = {str(file.relative_to(self.prefix)): file.read_text() for file in files}
        return {path: text for path, text in found.items() if not path.startswith(CHANGES)}

    def folders(self) -> set[str]:
        return {path.name for path in self.site.rglob("*") if path.is_dir()}


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    return Prepared(tmp_path / "env")


def change(prepared: Prepared, tmp_path: Path) -> Saved:
    staged = tmp_path / "staged"
    for path in [*NEW, "bin/acme", "bin/acme-more", "__pycache__/x.pyc"]:
        (staged / path).parent.mkdir(parents=True, exist_ok=True)
        (staged / path).write_text("")
    paths = paths_of(staged, str(prepared.prefix), str(prepared.site))
    return begin(str(prepared.prefix), [Kept("acme", "2.0", "1.0")], paths, prepared.installed())


def stash(prepared: Prepared) -> None:
    for name in ("acme", "acme-1.0.dist-info"):
        (prepared.site / name).rename(prepared.site / f"~{name[1:]}")
    (prepared.prefix / "bin/acme").unlink()


def half(prepared: Prepared) -> None:
    stash(prepared)
    prepared.put(dict(list(NEW.items())[:2]))
    prepared.write(f"{SITE}/acme/__pycache__/more.cpython-311.pyc", "bytecode")


def whole(prepared: Prepared) -> None:
    stash(prepared)
    prepared.put(NEW)
    prepared.put({"acme-2.0.dist-info/RECORD": "".join(f"{path},,\n" for path in NEW), "acme-2.0.dist-info/URL": "x"})
    prepared.write("bin/acme", "#!new\n")
    prepared.write("bin/acme-more", "#!new\n")
    prepared.write("pipx_metadata.json", json.dumps({"injected_packages": {"acme": {"version": "2.0"}, "other": {}}}))


def removed(prepared: Prepared) -> None:
    for path in OLD:
        (prepared.site / path).unlink()


@pytest.mark.parametrize("interrupted", [lambda prepared: None, stash, half, whole, removed])
def test_it_is_put_back_wherever_it_was_interrupted(
    prepared: Prepared, tmp_path: Path, interrupted: Callable[[Prepared], None]
) -> None:
    before, folders = prepared.tree(), prepared.folders()
    change(prepared, tmp_path)
    interrupted(prepared)
    differed = prepared.tree() != before
    for _ in range(2):  # as if this were interrupted as well, at its end
        saved = Saved.pending(str(prepared.prefix))
        assert saved is not None
        assert saved.put_back(prepared.installed) is differed
        after = prepared.tree()
        assert json.loads(after.pop("pipx_metadata.json")) == json.loads(before["pipx_metadata.json"])
        assert after == {path: text for path, text in before.items() if path != "pipx_metadata.json"}
        assert prepared.folders() == folders
        differed = False
    saved.discard()
    assert Saved.pending(str(prepared.prefix)) is None
    assert os.listdir(prepared.prefix / CHANGES) == []


def test_a_change_that_was_not_begun_is_nothing(prepared: Prepared, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        change(prepared, tmp_path)
    assert Saved.pending(str(prepared.prefix)) is None
    monkeypatch.undo()
    assert change(prepared, tmp_path).distributions[0].previous == "1.0"


def test_the_last_change_of_each_is_kept_for_a_rollback(prepared: Prepared, tmp_path: Path) -> None:
    before = prepared.tree()
    saved = change(prepared, tmp_path)
    whole(prepared)
    saved.keep()
    (kept,) = Saved.all_kept(str(prepared.prefix))
    assert kept.needs(kept.distributions[0]) == ["lib<2"]
    kept.place(kept.distributions, prepared.installed)
    after = prepared.tree()
    assert {path: after[path] for path in before if "pipx" not in path} == {
        path: text for path, text in before.items() if "pipx" not in path
    }
    assert json.loads(after["pipx_metadata.json"]) == json.loads(before["pipx_metadata.json"])
    assert f"{SITE}/acme/more.py" not in after
    (prepared.prefix / CHANGES / "kept" / ".gone-7").mkdir()  # as if killed while it was removed
    for names in (["lib"], ["acme"], ["lib", "acme"]):
        each = [Kept(name, "3.0", "2.0") for name in names]
        begin(str(prepared.prefix), each, [], prepared.installed()).keep()
        states = Saved.all_kept(str(prepared.prefix))
        found = [[each.name for each in state.distributions] for state in states]
        assert found[0] == names
    assert found == [["lib", "acme"]]
    assert len(os.listdir(prepared.prefix / CHANGES / "kept")) == 1
    (state,) = states
    state.forget({"acme"})
    assert Saved.all_kept(str(prepared.prefix))
    state.forget({"acme", "lib"})
    assert not Saved.all_kept(str(prepared.prefix))


def test_files_are_copied_where_there_are_no_links(prepared: Prepared, tmp_path: Path, monkeypatch) -> None:
    def refuse(*words: object, **options: object) -> None:
        raise OSError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    before = prepared.tree()
    saved = change(prepared, tmp_path)
    whole(prepared)
    assert saved.put_back(prepared.installed)
    assert {k: v for k, v in prepared.tree().items() if "pipx" not in k} == {
        k: v for k, v in before.items() if "pipx" not in k
    }
