"""`algo freeze`: the manifest of models, as the ADK checks it and the embedded platform's algorithms use it."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from support.shared import shared_environments

from algo_core.errors import ConfigError, ExitCode, NetworkError
from algo_core.storage.contract import Entry, Kind
from algo_core.storage.uri import parse_data_uri
from algo_core.testing import Home
from algo_manage import manifest

FILE = {"name": "m", "source_uri": "data://.my/models/m", "fail_on_tamper": True}


def passes_the_adk(text: str) -> bool:
    """The check of the ADK (`adk.modeldata.check_lock`)."""
    frozen = json.loads(text)
    lock = frozen.pop("lock_checksum")
    return bool(lock == hashlib.md5(str(frozen).encode(), usedforsecurity=False).hexdigest())


def frozen_by(**members: Any) -> dict[str, Any]:
    plan = manifest.read(json.dumps(members).encode(), "m.json")
    return manifest.freeze(plan, lambda file: file["name"] * 2, 12.5)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"required_files": [FILE]},
        {"optional_files": [{**FILE, "metadata": {"a": [None, True, 1.5e300, 10**40, "é\u2028\ud800'\"\\\n"]}}]},
        {"optional_files": [], "owner": "x", "required_files": [FILE, {**FILE, "name": "n", "md5_checksum": "old"}]},
        {"lock_checksum": "old", "timestamp": "1", "required_files": [FILE]},
        {"required_files": [FILE], "number": float("nan")},
    ],
)
def test_the_adk_accepts_what_is_frozen(members: dict[str, Any]) -> None:
    frozen = frozen_by(**members)
    assert passes_the_adk(json.dumps(frozen))
    assert frozen["timestamp"] == "12.5"
    assert all(file["md5_checksum"] == file["name"] * 2 for _, file in manifest.files_of(frozen))
    assert {"required_files", "optional_files"} <= frozen.keys()
    if files := frozen["required_files"] + frozen["optional_files"]:
        files[0]["source_uri"] += "x"
        assert not passes_the_adk(json.dumps(frozen))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{\n  nothing\n}", "m.json, line 2: "),
        (b"\xff\xfe{}", "not text in UTF-8"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"required_files": {}}', "required_files must be a list"),
        (b'{"optional_files": null}', "optional_files must be a list"),
        (b'{"required_files": ["x"]}', "required_files[0] must be an object"),
        (b'{"optional_files": [{"source_uri": "data://a/b"}]}', "optional_files[0] needs a name"),
        (b'{"required_files": [{"name": "m", "source_uri": 5}]}', "required_files[0] needs a source_uri"),
        (json.dumps({"required_files": [{**FILE, "fail_on_tamper": "no"}]}).encode(), "must be true or false"),
        (json.dumps({"required_files": [FILE], "optional_files": [FILE]}).encode(), "names another file"),
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        manifest.read(content, "m.json")
    assert told in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize("uri", ["file:///tmp/x", "file://x", "data+label://a/b", "data://a\0b"])
def test_places_that_no_algorithm_reads_are_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"^m of model_manifest\.json"):
        manifest.source_of({**FILE, "source_uri": uri})


@pytest.mark.parametrize("uri", ["a/b/c", "/a/b/c", "data://a/b/c"])
def test_hosted_data_needs_no_scheme_as_for_the_client(uri: str) -> None:
    assert str(manifest.source_of({**FILE, "source_uri": uri})) == "data://a/b/c"


def test_members_that_are_nearly_known_are_told() -> None:
    plan = {
        "required_files": [{**FILE, "fail_on_tampr": True, "comment": 1}],
        "optional_files": [],
        "optional_file": [],
    }
    assert list(manifest.misspelt(plan)) == [("optional_file", "optional_files"), ("fail_on_tampr", "fail_on_tamper")]


class Breaking:
    """A storage whose readers break off after so many bytes each, and then read to the end."""

    def __init__(self, content: bytes, *after: int, versions: str = "", resumes: bool = True) -> None:
        self._content, self._after, self._versions, self._resumes = content, list(after), list(versions), resumes
        self.offset, self.entry = 0, Entry(URI, Kind.FILE)

    def open(self, uri: object, offset: int = 0, *, version: str | None = None) -> Breaking:
        self.entry = Entry(URI, Kind.FILE, version=self._versions.pop(0) if self._versions else None)
        self.offset = offset if self._resumes and version == self.entry.version else 0
        self._left = self._after.pop(0) if self._after else None
        self._stream = io.BytesIO(self._content[self.offset :])
        return self

    def readinto(self, buffer: bytearray) -> int:
        if self._left is None:
            return self._stream.readinto(buffer)
        if not self._left:
            raise NetworkError("cut off")
        self._left -= 1
        buffer[:1] = self._stream.read(1)
        return 1

    def close(self) -> None:
        pass


URI = parse_data_uri("data://.my/models/m")


@pytest.mark.parametrize(
    "storage",
    [
        Breaking(b"content", 0, 3, 2, versions="aaaa"),
        Breaking(b"content", 3, 2, versions="abb"),
        Breaking(b"content", 3, 2),
        Breaking(b"content", 3, versions="aa", resumes=False),
    ],
    ids=["resumed", "changed meanwhile", "without versions", "from the beginning"],
)
def test_a_reading_that_breaks_off_continues(storage: Any) -> None:
    read: list[int] = []
    assert manifest.md5_of(storage, URI, read.append, lambda _: None) == hashlib.md5(b"content").hexdigest()
    assert sum(read) == len(b"content")


def test_one_that_gets_nowhere_ends() -> None:
    with pytest.raises(NetworkError):
        manifest.md5_of(Breaking(b"x", *[0] * 99), URI, lambda _: None, lambda _: None)  # type: ignore[arg-type]


def write(directory: Path, **members: Any) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / manifest.MANIFEST).write_text(json.dumps(members))


def upload(home: Home, name: str, content: bytes) -> None:
    (home.root / name).write_bytes(content)
    home.run("mkdir", ".my/models")
    assert home.run("cp", home.root / name, f"data://.my/models/{name}").code == ExitCode.OK


def test_failures_name_the_file_and_write_nothing(algo_home: Home) -> None:
    directory = algo_home.root / "mine"
    directory.mkdir()
    done = algo_home.run("freeze", directory, "--json")
    assert (done.code, done.stdout) == (ExitCode.NOT_FOUND, b"")
    assert "required_files" in done.error["hint"]
    write(directory, optional_files=[{**FILE, "name": "lost"}])
    done = algo_home.run("freeze", directory, "--json")
    assert (done.code, done.stdout) == (ExitCode.NOT_FOUND, b"")
    assert done.error["message"].startswith("lost: ")
    assert done.error["hint"]
    assert [path.name for path in directory.iterdir()] == [manifest.MANIFEST]


def test_an_algorithm_of_the_embedded_platform_uses_it(
    algo_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the ADK as published: optional files stay for later calls, and a changed file ends the loading."""
    algo_home.environ["ALGO_LOCAL_ROOT"] = str(state := algo_home.root / "platform")
    state.mkdir()
    shared_environments(tmp_path_factory, state)
    upload(algo_home, "m", b"one")
    upload(algo_home, "o", b"two")
    directory = algo_home.root / "mine"
    write(directory, required_files=[FILE], optional_files=[{**FILE, "name": "o", "source_uri": ".my/models/o"}])
    (directory / "src").mkdir()
    (directory / "src" / "Mine.py").write_text(
        "from Algorithmia import ADK\n"
        "def apply(input, models):\n    return [open(models.get_model(name)).read() for name in ('m', 'o')]\n"
        "ADK(apply, lambda models: models).init()\n"
    )
    (directory / "requirements.txt").write_text("algorithmia==2.0.5\n")
    (directory / "algorithmia.conf").write_text('{"username": "me", "algoname": "Mine", "language": "python3"}')

    frozen = algo_home.run("freeze", directory)
    assert (frozen.code, frozen.text.splitlines()[0].split("\t")[1:]) == (ExitCode.OK, ["m", FILE["source_uri"]])
    assert passes_the_adk((directory / manifest.FROZEN).read_text())
    upload(algo_home, "o", b"changed")
    for _ in range(2):
        assert "Model File Mismatch for o" in algo_home.run("run", directory, "-d", "1").stderr
    said = algo_home.run("freeze", directory, "--json").json
    assert said["path"] == str(directory / manifest.FROZEN)
    assert said["manifest"] == json.loads((directory / manifest.FROZEN).read_text())
    for _ in range(2):
        assert algo_home.run("run", directory, "-d", "1").json == ["one", "changed"]
