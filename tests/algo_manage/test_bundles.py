"""Sealed bundles: a version goes to another platform in one file, as it is or not at all."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import AlgoError, ExitCode
from algo_core.testing import Home
from algo_manage.bundle import Bundle, read_bundle

DESCRIBED = {
    "details": {"label": "L", "tagline": "", "tags": ["a"], "other": 1},
    "settings": {"license": "mit", "network_access": "full", "algorithm_callability": "public", "language": "python3"},
    "version_info": {"semantic_version": "1.2.3", "sample_input": '"ü"', "git_hash": "x"},
}


def archive_of(files: dict[str, bytes], *, mtime: int = 0) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), mtime, 0o755 if name.endswith(".sh") else 0o600
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


FILES = {"Greet/src/Greet.py": b"code", "Greet/run.sh": b"#!", "Greet/data": b"\0" * 3000}


@pytest.fixture
def bundle() -> Bundle:
    return Bundle.of("acme/Greet", DESCRIBED, ("TOKEN",), archive_of(FILES))


def written(bundle: Bundle) -> tuple[bytes, str]:
    file = io.BytesIO()
    digest = bundle.write(file)
    return file.getvalue(), digest


def test_a_bundle_is_read_as_it_was_written(bundle: Bundle) -> None:
    content, digest = written(bundle)
    assert digest == hashlib.sha256(content).hexdigest()
    assert (
        read_bundle(io.BytesIO(content)) == read_bundle(io.BytesIO(content), f"SHA256:{digest.upper()}"[7:]) == bundle
    )
    assert (bundle.version, bundle.details, bundle.texts) == (
        *("1.2.3", {"label": "L", "tags": ["a"]}),
        {"sample_input": '"ü"'},
    )
    assert bundle.settings == {"license": "mit", "network_access": "full"}


def test_equal_versions_have_equal_bundles(bundle: Bundle) -> None:
    other = archive_of(dict(reversed(FILES.items())), mtime=12345)
    assert written(Bundle.of("acme/Greet", DESCRIBED, ("TOKEN",), other)) == written(bundle)


def damaged(change: Callable[[dict[str, bytes]], None], content: bytes) -> bytes:
    """The bundle packed again with other members."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    change(members)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


def manifest(**changes: Any) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        members["bundle.json"] = json.dumps({**json.loads(members["bundle.json"]), **changes}).encode()

    return change


CHANGES: dict[str, Callable[[dict[str, bytes]], None]] = {
    "a file": lambda members: members.update({"source.tar": members["source.tar"].replace(b"code", b"evil")}),
    "the manifest": manifest(version="9.9.9"),
    "another format": manifest(format=2),
    "not an object": lambda members: members.update({"bundle.json": b"[]"}),
    "a missing member": lambda members: members.update({"bundle.json": b"{}"}),
    "one more": lambda members: members.update({"more": b"x"}),
    "less": lambda members: members.pop("source.tar") and None,
    "another seal": lambda members: members.update({"seal": b"0" * 64}),
    "texts that are none": manifest(details=[], settings="x"),
    "nested deeply": lambda members: members.update({"bundle.json": b"[" * 100_000}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_is_refused(bundle: Bundle, what: str) -> None:
    content, _ = written(bundle)
    assert damaged(lambda members: None, content) == content
    with pytest.raises(AlgoError):
        read_bundle(io.BytesIO(damaged(CHANGES[what], content)))


@pytest.mark.parametrize("name", ["TOKEN; rm -rf ~", "$(id)", "", "A B", "1A", "A\n"])
def test_secrets_have_names_of_variables(bundle: Bundle, name: str) -> None:
    """They stand in a command that is shown to be copied; who makes a bundle also seals it."""
    content, _ = written(dataclasses.replace(bundle, secrets=(name,)))
    with pytest.raises(AlgoError, match="not a bundle"):
        read_bundle(io.BytesIO(content))


@pytest.mark.parametrize("step", [1, 511, 512, 1024, 4000])
def test_what_is_incomplete_or_longer_is_refused(bundle: Bundle, step: int) -> None:
    content, _ = written(bundle)
    for given in (content[:-step], content[step:], content + b"x" * step, b"", b"x" * step):
        with pytest.raises(AlgoError):
            read_bundle(io.BytesIO(given))


def test_only_the_expected_one_is_taken(bundle: Bundle) -> None:
    content, digest = written(bundle)
    other, _ = written(dataclasses.replace(bundle, version="1.2.4"))
    assert read_bundle(io.BytesIO(content), f"sha256:{digest}") == bundle
    with pytest.raises(AlgoError, match="not the expected one"):
        read_bundle(io.BytesIO(other), digest)


def test_a_version_goes_to_another_platform(algo_home: Home, tmp_path: Path, source: Path) -> None:
    home = algo_home
    home.environ["LOGNAME"] = "jane"

    def algo(*arguments: str, input: str | None = None) -> Any:
        done = home.run(*arguments, input=input)
        assert done.code == ExitCode.OK, done.stderr
        return done

    algo("local", "publish", str(source), "jane/Greeter", "--version", "1.2.3", "--no-sample")
    algo("algorithms", "update", "jane/Greeter", "--tagline", "Greets")
    algo("secrets", "set", "jane/Greeter", "GREETING", "--stdin", input="Bonjour\n")
    (source / "src" / "Greeter.py").write_text("def apply(input):\n    return 'newer'\n")
    algo("local", "publish", str(source), "jane/Greeter", "--version", "2.0.0", "--no-sample")
    file = tmp_path / "greeter.algo"
    told = algo("algorithms", "export", "jane/Greeter/1.2.3", "-o", str(file)).stderr
    (digest,) = re.findall("sha256:([0-9a-f]{64})", told)
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert b"Bonjour" not in file.read_bytes()
    assert home.run("algorithms", "export", "jane/Greeter/7.0.0", "-o", str(file)).code == ExitCode.NOT_FOUND

    home.environ["ALGO_LOCAL_ROOT"] = str(tmp_path / "another")
    spoiled = tmp_path / "spoiled.algo"
    spoiled.write_bytes(file.read_bytes().replace(b"Greets", b"Grates"))
    assert home.run("algorithms", "import", str(spoiled), "--sha256", digest).code == ExitCode.FAILURE
    assert home.run("algorithms", "show", "jane/Greeter").code == ExitCode.NOT_FOUND, "nothing was made"
    done = algo("algorithms", "import", str(file), "--sha256", digest)
    assert done.text == "Published jane/Greeter/1.2.3\n"
    assert "algo secrets set jane/Greeter GREETING" in done.stderr
    assert algo("run", "jane/Greeter/1.2.3", "-d", "Jane").text == "Hello Jane\n"
    assert "Greets" in algo("show", "jane/Greeter").text
    assert home.run("algorithms", "import", str(file)).code == ExitCode.FAILURE, "that version exists"
    home.environ.update({"ALGO_LOCAL_ROOT": str(tmp_path / "third"), "LOGNAME": "joe"})
    made = algo("algorithms", "import", str(file), "joe/Greeter", "--public", "--json").json
    assert made == {"algorithm": "joe/Greeter", "version": "1.2.3", "secrets": ["GREETING"]}
