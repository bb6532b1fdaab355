"""The data commands between any two of local, hosted data and each connector, directly and through the platform."""

from __future__ import annotations

import io
import random
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from support.stores import Store

from algo_core.errors import ExitCode
from algo_core.testing import Home

CONTENT = random.Random(1).randbytes(5000)


@pytest.fixture(params=["direct", "platform"])
def route(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def home(route: str, algo_home: Home, stores: dict[str, Store]) -> Home:
    """A home in which each scheme opens its store: from this machine, or by the embedded platform."""
    algo_home.write_config('[profiles.default]\naddress = "local:"\n\n')
    for store in stores.values():
        if route == "direct":
            with algo_home.config_file.open("a") as file:
                file.write(store.toml)
        else:
            made = algo_home.run("local", "connector", "add", f"{store.scheme}+test", "--writable", *store.flags)
            assert made.code == ExitCode.OK, made.stderr
    return algo_home


@pytest.fixture
def at(route: str, stores: dict[str, Store]) -> Callable[[str, str], str]:
    """The URI of a path in a store, as a person writes it: with the label where the platform opens it."""

    def uri(scheme: str, path: str) -> str:
        found = str(stores[scheme].uri(path))
        return found if route == "direct" else found.replace("://", "+test://", 1)

    return uri


def test_a_small_file_goes_from_anywhere_to_anywhere(
    home: Home, stores: dict[str, Store], at: Callable[[str, str], str], tmp_path: Path
) -> None:
    name = f"pairs{uuid.uuid4().hex[:8]}"
    assert home.run("mkdir", f".my/{name}").code == ExitCode.OK
    places = {"local": str(tmp_path), "data": f"data://.my/{name}", **{scheme: at(scheme, name) for scheme in stores}}
    (hosted,) = (home.root / "local" / "data").glob(f"*/{name}")

    def content(place: str, file: str) -> bytes:
        if place in {"local", "data"}:
            return ((tmp_path if place == "local" else hosted) / file).read_bytes()
        reader = stores[place].open().open(stores[place].uri(f"{name}/{file}"))
        buffer = bytearray(10_000)
        return bytes(buffer[: reader.readinto(buffer)])

    (tmp_path / "from-local").write_bytes(CONTENT)
    assert home.run("cp", tmp_path / "from-local", f"{places['data']}/from-data").code == ExitCode.OK
    for scheme, store in stores.items():
        store.open().write(store.uri(f"{name}/from-{scheme}"), io.BytesIO(CONTENT), len(CONTENT))
    for other in places:
        sources = [f"{places[one]}/from-{one}" for one in places if one != other]
        done = home.run("cp", *sources, f"{places[other]}/")
        assert done.code == ExitCode.OK, (other, done.stderr)
        for one in places:
            assert content(other, f"from-{one}") == CONTENT, (one, other)


def test_files_are_listed_found_by_wildcards_and_removed(
    home: Home, at: Callable[[str, str], str], tmp_path: Path
) -> None:
    name = f"commands{uuid.uuid4().hex[:8]}"
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(CONTENT)
    (tmp_path / "notes.txt").write_bytes(b"notes")
    files = [str(path) for path in sorted(tmp_path.glob("*.*"))]
    for scheme in ("s3", "dropbox"):
        place = at(scheme, name)
        assert home.run("mkdir", place).code == ExitCode.OK
        assert home.run("cp", *files, f"{place}/").code == ExitCode.OK
        listed = home.run("ls", place).text.split()
        assert listed == [f"{place}/{file}" for file in ("0.png", "1.png", "2.png", "notes.txt")]
        down = tmp_path / scheme
        down.mkdir()
        assert home.run("cp", f"{place}/*.png", f"{down}/").code == ExitCode.OK
        assert sorted(path.name for path in down.iterdir()) == ["0.png", "1.png", "2.png"]
        assert home.run("cat", f"{place}/notes.txt").stdout == b"notes"
        assert home.run("rm", f"{place}/notes.txt").code == ExitCode.OK
        assert home.run("cat", f"{place}/notes.txt").code == ExitCode.NOT_FOUND
        assert home.run("rmdir", place).code == ExitCode.FAILURE
        assert home.run("rmdir", "-f", place).code == ExitCode.OK
        assert home.run("ls", place).code == ExitCode.NOT_FOUND


def test_a_large_file_goes_up_across_and_down(home: Home, at: Callable[[str, str], str], tmp_path: Path) -> None:
    content = random.Random(2).randbytes(18 << 20)
    (tmp_path / "large").write_bytes(content)
    one, other = at("s3", f"large{uuid.uuid4().hex[:8]}"), at("azureblob", f"large{uuid.uuid4().hex[:8]}")
    for source, target in ((tmp_path / "large", one), (one, other), (other, tmp_path / "again")):
        done = home.run("cp", source, target)
        assert done.code == ExitCode.OK, done.stderr
    assert (tmp_path / "again").read_bytes() == content


def test_a_directory_of_a_store_comes_about_with_its_first_file(
    home: Home, stores: dict[str, Store], at: Callable[[str, str], str], tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    for scheme in stores:
        new = at(scheme, f"new{uuid.uuid4().hex[:8]}/deep") + "/"
        assert home.run("cp", tmp_path / "a", new).code == ExitCode.OK
        assert home.run("cp", tmp_path / "a", tmp_path / "b", new).code == ExitCode.OK
        assert home.run("cat", f"{new}a", f"{new}b").stdout == b"ab"


def test_a_store_that_is_reached_directly_needs_no_profile(algo_home: Home, s3: Store, tmp_path: Path) -> None:
    """What failed is told and kept for another try, though there is no platform that it could belong to."""
    algo_home.write_config(s3.toml)
    for arguments in (["s3://bucket/nothing", str(tmp_path / "x")], ["--retry-failed"]):
        done = algo_home.run("cp", *arguments, "--profile", "nothing")
        assert done.code == ExitCode.NOT_FOUND
        assert "s3://bucket/nothing does not exist" in done.stderr
        assert "profile" not in done.stderr
