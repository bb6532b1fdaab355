"""What could not be looked at is not absent: told by name, and nothing happens that depends on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.ordinary import as_ordinary_user

from algo_core.errors import ExitCode
from algo_core.testing import Home

LONG = "n" * 200
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def home(algo_home: Home) -> Home:
    """A home with the embedded platform, and the rights of an ordinary user."""
    algo_home.write_config('[profiles.default]\naddress = "local:"\n')
    return as_ordinary_user(algo_home)


def a_directory_of_mode(mode: int) -> Callable[[Path], Callable[[], object]]:
    def make(source: Path) -> Callable[[], object]:
        (source / "odd").mkdir()
        (source / "odd" / "inner").write_text("inner")
        (source / "odd").chmod(mode)
        return lambda: (source / "odd").chmod(0o755)

    return make


def a_link_to_itself(source: Path) -> Callable[[], object]:
    (source / "odd").symlink_to("odd")
    return (source / "odd").unlink


def a_link_behind_a_closed_door(source: Path) -> Callable[[], object]:
    closed = source.parent / "closed"
    (closed / "behind").mkdir(parents=True)
    (closed / "behind" / "inner").write_text("inner")
    (source / "odd").symlink_to("../closed/behind")
    closed.chmod(0)
    return lambda: closed.chmod(0o755)


def a_path_that_is_too_long(source: Path) -> Callable[[], object]:
    top = os.open(source, os.O_RDONLY)
    os.mkdir("odd", dir_fd=top)
    here = os.open("odd", os.O_RDONLY, dir_fd=top)
    for _ in range(os.pathconf(source, "PC_PATH_MAX") // len(LONG) + 2):
        os.mkdir(LONG, dir_fd=here)
        here, before = os.open(LONG, os.O_RDONLY, dir_fd=here), here
        os.close(before)
    os.close(os.open("inner", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    os.close(top)
    return lambda: shutil.rmtree(source / "odd")


CLOSED = {f"mode {mode:o}": a_directory_of_mode(mode) for mode in (0o644, 0o444, 0o311, 0)}
TROUBLES = {
    **CLOSED,
    "a link to itself": a_link_to_itself,
    "a link behind a closed door": a_link_behind_a_closed_door,
    "a path that is too long": a_path_that_is_too_long,
}


@pytest.fixture(params=TROUBLES)
def unreadable(request: pytest.FixtureRequest, work: Path) -> Iterator[str]:
    """A tree `src` in which something cannot be looked at: what."""
    mend = trouble(work, request.param)
    yield request.param
    if os.path.lexists(work / "src" / "odd"):
        mend()


def trouble(work: Path, name: str) -> Callable[[], object]:
    (work / "src" / "good").mkdir(parents=True)
    (work / "src" / "good" / "file").write_text("good")
    (work / "src" / "zlast").write_text("last")
    return TROUBLES[name](work / "src")


def copy_of_it(work: Path, name: str = "dst") -> Path:
    """What an earlier copy has made of it."""
    (work / name / "odd").mkdir(parents=True)
    (work / name / "odd" / "inner").write_text("inner")
    (work / name / "extra").write_text("extra")
    return work / name


def test_sync_deletes_nothing(home: Home, work: Path, unreadable: str) -> None:
    copy = copy_of_it(work)
    done = home.run("sync", "--delete", "src", "dst", cwd=work)
    assert done.code not in {ExitCode.OK, ExitCode.PLUGIN}, done.stderr
    assert "src/odd" in done.stderr
    assert "Nothing was removed from dst" in done.stderr
    assert (copy / "odd" / "inner").read_text() == "inner"
    assert (copy / "extra").exists()
    assert (copy / "good" / "file").read_text() == "good"
    assert (copy / "zlast").read_text() == "last"


def test_copying_tells_and_goes_on(home: Home, work: Path, unreadable: str) -> None:
    done = home.run("cp", "-r", "src", "new", cwd=work)
    assert done.code not in {ExitCode.OK, ExitCode.PLUGIN}, done.stderr
    assert "src/odd" in done.stderr
    assert (work / "new" / "good" / "file").read_text() == "good"
    assert (work / "new" / "zlast").read_text() == "last"


def test_moving_leaves_it_where_it_is(home: Home, work: Path, unreadable: str) -> None:
    done = home.run("mv", "src", "new", cwd=work)
    assert done.code not in {ExitCode.OK, ExitCode.PLUGIN}, done.stderr
    assert "src/odd" in done.stderr
    assert os.path.lexists(work / "src" / "odd")
    assert (work / "new" / "zlast").read_text() == "last"


@pytest.mark.parametrize("command", [("ls", "-R", "./src"), ("du", "./src"), ("ls", "./src/**")])
def test_what_is_listed_is_not_the_whole(home: Home, work: Path, unreadable: str, command: tuple[str, ...]) -> None:
    done = home.run(*command, cwd=work)
    assert done.code not in {ExitCode.OK, ExitCode.PLUGIN}, done.stderr
    assert "src/odd" in done.stderr
    if command[0] == "du":
        assert "2 files" in done.text or "3 files" in done.text
    else:
        assert "./src/good/file\n" in done.text


@pytest.mark.parametrize("name", ["mode 644", "mode 0", "a link behind a closed door"])
def test_a_wildcard_does_not_pass_over_it(home: Home, work: Path, name: str) -> None:
    mend = trouble(work, name)
    done = home.run("ls", "./src/*/*", cwd=work)
    mend()
    assert done.code == ExitCode.AUTHENTICATION, done.stderr
    assert "./src/odd" in done.stderr
    assert "./src/good/file\n" in done.text


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("command", [("rm", "-r"), ("rmdir", "-f")])
def test_a_tree_that_cannot_be_listed_is_not_removed(
    home: Home, work: Path, name: str, command: tuple[str, ...]
) -> None:
    mend = trouble(work, name)
    done = home.run(*command, "./src", cwd=work)
    mend()
    assert done.code == ExitCode.AUTHENTICATION, done.stderr
    assert "./src/odd: Permission denied" in done.stderr
    assert (work / "src" / "odd" / "inner").read_text() == "inner"
    assert (work / "src" / "good" / "file").read_text() == "good"
    assert home.run(*command, "./src", cwd=work).code == ExitCode.OK
    assert not (work / "src").exists()


def test_links_to_nowhere_and_to_themselves_are_removed_with_a_tree(home: Home, work: Path) -> None:
    (work / "src").mkdir()
    (work / "src" / "nowhere").symlink_to("missing")
    (work / "src" / "itself").symlink_to("itself")
    done = home.run("rm", "-r", "./src", cwd=work)
    assert (done.code, done.stderr) == (ExitCode.OK, "")
    assert not (work / "src").exists()


@pytest.mark.parametrize("name", ["mode 644", "mode 0"])
def test_what_failed_is_kept_until_it_is_made_up_for(home: Home, work: Path, name: str) -> None:
    mend = trouble(work, name)
    assert home.run("cp", "-r", "src", "new", cwd=work).code == ExitCode.AUTHENTICATION
    assert home.run("cp", "--retry-failed", cwd=work).code == ExitCode.AUTHENTICATION
    mend()
    done = home.run("cp", "--retry-failed", cwd=work)
    assert done.code == ExitCode.OK, done.stderr
    assert (work / "new" / "odd" / "inner").read_text() == "inner"
    assert home.run("cp", "--retry-failed", cwd=work).code == ExitCode.USAGE


@pytest.mark.parametrize("name", ["mode 644", "a link to itself", "a link behind a closed door"])
def test_nothing_is_deleted_on_the_platform(home: Home, work: Path, name: str) -> None:
    (work / "first").mkdir()
    for file in ("odd", "extra", "inner"):
        (work / "first" / file).write_text(file)
    assert home.run("mkdir", ".my/c", cwd=work).code == ExitCode.OK
    assert home.run("sync", "first", "data://.my/c", cwd=work).code == ExitCode.OK
    mend = trouble(work, name)
    source = work / "src" / "odd" if name == "mode 644" else work / "src"
    shutil.rmtree(work / "src" / "good")
    done = home.run("sync", "--delete", source, "data://.my/c", cwd=work)
    mend()
    assert done.code not in {ExitCode.OK, ExitCode.USAGE, ExitCode.PLUGIN}, done.stderr
    assert "src/odd" in done.stderr
    assert {"odd", "extra", "inner"} <= {line.rpartition("/")[2] for line in home.run("ls", ".my/c").text.split()}


def test_what_stands_at_the_target_and_cannot_be_looked_at_stays(home: Home, work: Path) -> None:
    (work / "src").mkdir()
    (work / "dst").mkdir()
    for name in ("a", "odd", "z"):
        (work / "src" / name).write_text(name)
    (work / "dst" / "odd").symlink_to("odd")
    (work / "dst" / "extra").write_text("extra")
    done = home.run("sync", "--delete", "src", "dst", cwd=work)
    assert done.code == ExitCode.FAILURE
    assert "dst/odd: Too many levels of symbolic links" in done.stderr
    assert (work / "dst" / "extra").exists()
    assert (work / "dst" / "odd").is_symlink()
    assert (work / "dst" / "z").read_text() == "z"
    assert home.run("rm", "./dst/odd", cwd=work).code == ExitCode.OK
    assert home.run("sync", "--delete", "src", "dst", cwd=work).code == ExitCode.OK
    assert sorted(os.listdir(work / "dst")) == ["a", "odd", "z"]


def test_a_name_with_a_wildcard_that_cannot_be_looked_up_matches_nothing_else(home: Home, work: Path) -> None:
    (work / "src").mkdir()
    (work / "src" / "a1").write_text("another")
    (work / "src" / "a[1]").symlink_to("a[1]")
    done = home.run("rm", "./src/a[1]", cwd=work)
    assert done.code != ExitCode.OK
    assert (work / "src" / "a1").read_text() == "another"


NAMES = ("ä", "🎉 x", "日本.txt", "plain")


def test_names_pass_whatever_the_locale_is(home: Home, work: Path) -> None:
    (work / "in").mkdir()
    for name in NAMES:
        (work / "in" / name).write_text(name)
    (work / "in" / os.fsdecode(b"bad\xff")).write_text("no text in any locale")

    def run(*arguments: str, code: int = ExitCode.OK, **environ: str) -> str:
        done = home.run(*arguments, cwd=work, environ=environ)
        assert done.code == code, (arguments, done.stderr)
        return done.text

    run("mkdir", ".my/c", **C_LOCALE)
    done = home.run("sync", "in", "data://.my/c", cwd=work, environ=C_LOCALE)
    assert done.code not in {ExitCode.OK, ExitCode.PLUGIN}
    assert "in/bad" in done.stderr
    shown = sorted(f".my/c/{name}" for name in NAMES)
    for environ in ({}, C_LOCALE):
        assert sorted(run("ls", ".my/c", **environ).splitlines()) == shown
        assert run("cat", ".my/c/ä", "./in/日本.txt", **environ) == "ä日本.txt"
    run("sync", "--delete", "data://.my/c", "out", **C_LOCALE)
    assert run("sync", "--delete", "data://.my/c", "out", **C_LOCALE) == ""
    assert sorted(os.listdir(work / "out")) == sorted(NAMES)
    assert run("sync", "in", "other", "--include", "ä*", **C_LOCALE) == "Copied in/ä to other/ä\n"
    assert run("ls", "./in/日*", **C_LOCALE) == "./in/日本.txt\n"
    run("rm", ".my/c/🎉 x", "./out/ä", **C_LOCALE)
    run("sync", "--delete", "data://.my/c", "out", **C_LOCALE)
    assert sorted(os.listdir(work / "out")) == sorted({*NAMES} - {"🎉 x"})
