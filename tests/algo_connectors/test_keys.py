"""Keys that no local path can express, directly and through the platform: told by name, never merged, hidden or lost."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from support.stores import Store

from algo_connectors.common.objects import ObjectStorage
from algo_core.errors import ExitCode
from algo_core.testing import Home
from algo_core.testing.keys import files_below

WAYS = [("s3", "direct"), ("s3", "platform")]
"""What all is tried with; the other stores, of which each keeps the contract, with what says most."""

EVERYWHERE = [*WAYS, ("azureblob", "direct"), ("gs", "direct")]


class Bucket:
    """A directory of a store: its keys, put there and looked at past `algo`, and how a person writes them."""

    def __init__(self, store: Store, route: str) -> None:
        self.scheme = store.scheme
        self._top = store.uri(f"keys-{uuid.uuid4().hex[:12]}")
        self.route = route
        storage = store.open()
        assert isinstance(storage, ObjectStorage)
        self._storage = storage

    def put(self, *keys: str) -> None:
        for key in keys:
            self._storage.put(self._top._replace(path=f"{self._top.path}/{key}"), key.encode())

    @property
    def keys(self) -> set[str]:
        if not self._storage.exists(self._top):
            return set()
        return {entry.uri.path.removeprefix(f"{self._top.path}/") for entry in files_below(self._storage, self._top)}

    def __call__(self, key: str) -> str:
        found = str(self._top._replace(path=f"{self._top.path}/{key}"))
        return found if self.route == "direct" else found.replace("://", "+test://", 1)


@pytest.fixture(params=WAYS, ids="-".join)
def bucket(request: pytest.FixtureRequest, stores: dict[str, Store]) -> Bucket:
    scheme, route = request.param
    return Bucket(stores[scheme], route)


@pytest.fixture
def home(algo_home: Home, stores: dict[str, Store], bucket: Bucket) -> Home:
    """A home in which the scheme opens its store: from this machine, or by the embedded platform."""
    algo_home.write_config('[profiles.default]\naddress = "local:"\n\n')
    store = stores[bucket.scheme]
    if bucket.route == "direct":
        with algo_home.config_file.open("a") as file:
            file.write(store.toml)
    else:
        made = algo_home.run("local", "connector", "add", f"{store.scheme}+test", "--writable", *store.flags)
        assert made.code == ExitCode.OK, made.stderr
    return algo_home


@pytest.fixture
def run_expecting(home: Home, tmp_path: Path) -> Callable[..., str]:
    """Runs a command, which has to end with a code, and to tell each of several words on stderr; its output."""

    def run(*arguments: str, code: int = ExitCode.OK, told: tuple[str, ...] = ()) -> str:
        done = home.run(*arguments, cwd=tmp_path)
        assert done.code == code, (arguments, done.text, done.stderr)
        for word in told:
            assert word in done.stderr, (arguments, done.stderr)
        return done.text

    return run


def local_files(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and "platform" not in path.parts
    }


@pytest.mark.parametrize("bucket", EVERYWHERE, ids="-".join, indirect=True)
def test_operands_are_taken_as_they_are_written(run_expecting: Callable[..., str], bucket: Bucket) -> None:
    bucket.put("p/ok", "p//ok", "m/body", "m/body/", "m/body/x")
    assert run_expecting("cat", bucket("p//ok")) == "p//ok"
    assert run_expecting("stat", bucket("p//ok")).splitlines()[2].split() == ["size:", "5"]
    assert run_expecting("ls", bucket("p//")) == f"{bucket('p//ok')}\n"
    assert run_expecting("ls", bucket("p//ok")) == f"{bucket('p//ok')}\n"
    assert run_expecting("ls", bucket("p")) == f"{bucket('p//')}\n{bucket('p/ok')}\n"
    assert run_expecting("cat", bucket("m/body/"), bucket("m/body")) == "m/body/m/body"
    assert sorted(run_expecting("ls", bucket("m/body/")).splitlines()) == [bucket("m/body/"), bucket("m/body/x")]
    run_expecting("rm", bucket("p///ok"), bucket("p/ok/"), bucket("/p/ok"), code=ExitCode.NOT_FOUND)
    run_expecting("rm", "--dry-run", bucket("p//ok"), bucket("m/body/"))
    assert bucket.keys == {"p/ok", "p//ok", "m/body", "m/body/", "m/body/x"}
    run_expecting("rm", bucket("p//ok"))
    assert bucket.keys == {"p/ok", "m/body", "m/body/", "m/body/x"}
    run_expecting("rm", bucket("m/body/"))
    assert bucket.keys == {"p/ok", "m/body", "m/body/x"}
    run_expecting("rm", bucket("m/body/"), code=ExitCode.FAILURE, told=("is a directory",))


def test_a_new_key_is_written_as_it_is_given(run_expecting: Callable[..., str], bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("new")
    bucket.put("p/ok")
    run_expecting("cp", "file", bucket("p//ok"))
    run_expecting("cp", "file", bucket("p///"))
    assert bucket.keys == {"p/ok", "p//ok", "p///file"}
    assert run_expecting("cat", bucket("p/ok")) == "p/ok"


def test_a_mark_that_has_content_is_no_empty_directory(run_expecting: Callable[..., str], bucket: Bucket) -> None:
    bucket.put("m/body/", "n/")
    run_expecting("rmdir", bucket("m/body"), bucket("m/body/"), code=ExitCode.FAILURE)
    run_expecting("rm", bucket("m/body"), code=ExitCode.FAILURE)
    run_expecting("mkdir", bucket("empty"))
    run_expecting("rmdir", bucket("empty"))
    assert bucket.keys == {"m/body/", "n/"}
    run_expecting("rm", "-r", bucket("m"))
    run_expecting("rm", bucket("n/"))
    assert bucket.keys == set()


ODD = ("o//b", "o//c/d", "m/body/", "/lead")
ELSEWHERE = ("d/../../../up", "d/./b", "e/..")


@pytest.fixture
def odd_keys(bucket: Bucket) -> tuple[str, ...]:
    """Keys that the store has and no local path can express, beside two that one can."""
    keys = ODD if bucket.scheme == "azureblob" else ODD + ELSEWHERE
    bucket.put("m/x", "o/b", *keys)
    return keys


def test_copying_tells_of_each_and_goes_on(
    run_expecting: Callable[..., str], bucket: Bucket, odd_keys: tuple[str, ...], tmp_path: Path
) -> None:
    told = tuple(bucket(key) for key in ("o//", "m/body/", "/"))
    for options in ((), ("--flatten",), ("--dry-run",)):
        expected = told if "--flatten" not in options else (bucket("m/body/"),)
        (tmp_path / "new").mkdir(exist_ok=True)
        run_expecting("cp", "-r", *options, bucket(""), "new", code=ExitCode.FAILURE, told=expected)
    assert (tmp_path / "new" / bucket("").rstrip("/").rpartition("/")[2] / "m" / "x").read_text() == "m/x"
    assert not any(path.name == "up" for path in tmp_path.rglob("*") if "new" not in path.parts)
    assert bucket.keys == {"m/x", "o/b", *odd_keys}


@pytest.mark.parametrize("bucket", EVERYWHERE, ids="-".join, indirect=True)
def test_moving_leaves_what_could_not_be_copied(
    run_expecting: Callable[..., str], bucket: Bucket, odd_keys: tuple[str, ...], tmp_path: Path
) -> None:
    run_expecting("mv", bucket("m"), "moved", code=ExitCode.FAILURE, told=(bucket("m/body/"),))
    run_expecting("mv", bucket("o"), "moved-o", code=ExitCode.FAILURE, told=(bucket("o//"),))
    assert bucket.keys == set(odd_keys)
    assert (tmp_path / "moved" / "x").read_text() == "m/x"
    assert (tmp_path / "moved-o" / "b").read_text() == "o/b"
    run_expecting("mv", "--retry-failed", code=ExitCode.USAGE)
    run_expecting("mv", bucket("m/body/"), "body")
    assert bucket.keys == set(odd_keys) - {"m/body/"}
    assert (tmp_path / "body").read_text() == "m/body/"


def test_sync_deletes_nothing_when_it_could_not_copy_all(
    run_expecting: Callable[..., str], bucket: Bucket, odd_keys: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "dst").mkdir()
    (tmp_path / "dst" / "extra").write_text("extra")
    run_expecting(
        "sync",
        "--delete",
        bucket(""),
        "dst",
        code=ExitCode.FAILURE,
        told=(bucket("m/body/"), bucket("o//"), bucket("/")),
    )
    assert local_files(tmp_path / "dst") == {"extra": "extra", "m/x": "m/x", "o/b": "o/b"}


def test_sync_removes_just_what_the_source_does_not_have(
    run_expecting: Callable[..., str], bucket: Bucket, odd_keys: tuple[str, ...], tmp_path: Path
) -> None:
    for name in ("m/x", "o/b"):
        (tmp_path / "src" / name).parent.mkdir(parents=True)
        (tmp_path / "src" / name).write_text(name)
    run_expecting("sync", "src", bucket(""))
    assert bucket.keys == {"m/x", "o/b", *odd_keys}
    run_expecting("sync", "--delete", "src", bucket(""))
    assert bucket.keys == {"m/x", "o/b"}


def test_wildcards_and_sums_pass_over_nothing(
    run_expecting: Callable[..., str], bucket: Bucket, odd_keys: tuple[str, ...], tmp_path: Path
) -> None:
    listed = set(run_expecting("ls", "-R", bucket("")).splitlines())
    assert {bucket(key) for key in ("m/x", "o/b", *odd_keys)} <= listed
    size = sum(len(key) for key in ("m/x", "o/b", *odd_keys))
    assert run_expecting("du", bucket("")).split("\t")[:2] == [str(size), f"{2 + len(odd_keys)} files"]
    assert set(run_expecting("ls", bucket("o/*")).split()) == {bucket("o//"), bucket("o/b")}
    assert run_expecting("ls", bucket("*//b")) == f"{bucket('o//b')}\n"
    (tmp_path / "new").mkdir()
    run_expecting("cp", "-r", bucket("o/*"), "new", code=ExitCode.FAILURE, told=(bucket("o//"),))
    run_expecting("cp", bucket("m/body/*"), "new", code=ExitCode.FAILURE, told=(bucket("m/body/"),))
    assert local_files(tmp_path / "new") == {"b": "o/b"}
    run_expecting("cp", "-r", bucket("o//"), "new/o")
    assert local_files(tmp_path / "new" / "o") == {"b": "o//b", "c/d": "o//c/d"}
    run_expecting("rm", "-r", bucket("o/*"))
    assert bucket.keys == {"m/x", *odd_keys} - {"o//b", "o//c/d"}


def test_a_store_keeps_them_in_another_directory(
    run_expecting: Callable[..., str], bucket: Bucket, odd_keys: tuple[str, ...]
) -> None:
    run_expecting("cp", "-r", bucket("o"), bucket("copy"))
    run_expecting("mv", bucket("copy"), bucket("moved"))
    assert bucket.keys == {"m/x", "o/b", *odd_keys, "moved/b", "moved//b", "moved//c/d"}
    run_expecting("sync", bucket("m"), bucket("other"), code=ExitCode.FAILURE, told=(bucket("m/body/"),))
    assert "other/x" in bucket.keys
    run_expecting("mkdir", ".my/c")
    run_expecting("cp", "-r", "--flatten", bucket("m"), ".my/c", code=ExitCode.FAILURE, told=(bucket("m/body/"),))
    assert run_expecting("ls", ".my/c") == ".my/c/x\n"
