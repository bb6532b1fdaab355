"""The guide's data commands on the embedded platform, in process and served."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import Home
from algo_local.platform import Platform
from algo_local.serving.http.listener import listen
from algo_local.serving.http.server import Server
from algo_local.web.app import Application


@pytest.fixture(params=["embedded", "served"])
def person(request: pytest.FixtureRequest, algo_home: Home, tmp_path: Path) -> Iterator[Home]:
    """A home whose `algo` has a platform behind it, as the account jane."""
    algo_home.environ["LOGNAME"] = algo_home.environ["USER"] = "jane"
    if request.param == "embedded":
        yield algo_home
        return
    platform = Platform(tmp_path / "served")
    listener = listen("127.0.0.1", 0)
    server = Server(Application(platform), listener)
    server.run()
    key = platform.keys.create(platform.metadata.ensure_account("jane"), "test")[1]
    algo_home.environ |= {
        "ALGORITHMIA_API": f"http://127.0.0.1:{listener.getsockname()[1]}",
        "ALGORITHMIA_API_KEY": key,
    }
    yield algo_home
    server.stop()
    platform.close()


def test_the_guides_journey(person: Home, work: Path) -> None:
    picture = bytes(range(256)) * 9000
    (work / "friends.jpg").write_bytes(picture)
    assert person.run("ls").text.splitlines()[0] == "jane/"
    assert person.run("mkdir", ".my/img_directory").text == "Created directory data://.my/img_directory\n"
    uploaded = person.run("cp", "./friends.jpg", "data://.my/img_directory", cwd=work)
    assert (uploaded.code, uploaded.text) == (ExitCode.OK, "Uploaded data://.my/img_directory/friends.jpg\n")
    assert person.run("ls", ".my/img_directory").text == ".my/img_directory/friends.jpg\n"
    long = person.run("ls", "-l", ".my/img_directory").text
    assert long.endswith(f"   {len(picture)}   .my/img_directory/friends.jpg\n")
    assert person.run("cat", ".my/img_directory/friends.jpg").stdout == picture
    assert person.run("cp", "data://.my/img_directory/friends.jpg", "./again.jpg", cwd=work).code == ExitCode.OK
    assert (work / "again.jpg").read_bytes() == picture
    assert person.run("cp", "data://jane/img_directory/*", "./", cwd=work).text == "Downloaded ./friends.jpg\n"
    assert (
        person.run("cp", ".my/img_directory/friends.jpg", "data://.my/img_directory/copy.jpg", cwd=work).code
        == ExitCode.OK
    )
    assert person.run("rm", ".my/img_directory/copy.jpg").text == "Deleted data://.my/img_directory/copy.jpg\n"
    assert person.run("rmdir", ".my/img_directory").code == ExitCode.FAILURE
    assert person.run("rmdir", "-f", ".my/img_directory").code == ExitCode.OK
    assert person.run("ls", ".my").text == ""


def test_what_is_not_there_or_not_allowed(person: Home, work: Path) -> None:
    (work / "f").write_text("x")
    assert person.run("ls", ".my/nope").code == ExitCode.NOT_FOUND
    assert person.run("rm", ".my/nope/f").code == ExitCode.NOT_FOUND
    assert person.run("cat", ".my/nope/f").code == ExitCode.NOT_FOUND
    assert person.run("cp", "data://.my/nope/f", ".", cwd=work).code == ExitCode.NOT_FOUND
    refused = person.run("cp", "f", "data://.my/nope", cwd=work)
    assert refused.code == ExitCode.NOT_FOUND
    assert "algo mkdir data://.my/nope" in refused.stderr
    assert person.run("mkdir", ".my/no-such-name!").code == ExitCode.FAILURE
    assert person.run("mkdir", ".my/twice").code == ExitCode.OK
    assert person.run("mkdir", ".my/twice").code == ExitCode.FAILURE
    assert person.run("ls", "s3://bucket").code != ExitCode.OK


@pytest.mark.parametrize("content", [b"", bytes(3 << 20)])
def test_through_pipes(person: Home, content: bytes) -> None:
    assert person.run("mkdir", ".my/pipes").code == ExitCode.OK
    assert person.run("cp", "-", ".my/pipes/f", input=content).code == ExitCode.OK
    assert person.run("cp", ".my/pipes/f", "-").stdout == content


def test_more_files_than_a_page_has(person: Home, work: Path) -> None:
    names = [f"f{number:04d}" for number in range(1050)]
    for name in names:
        (work / name).write_text(name)
    assert person.run("mkdir", ".my/many").code == ExitCode.OK
    # Quoted, so that it is algo that expands it.
    assert len(person.run("cp", "f*", "data://.my/many", cwd=work).text.splitlines()) == 1050
    assert person.run("ls", ".my/many").text == "".join(f".my/many/{name}\n" for name in names)
    assert person.run("ls", ".my/many/f1049").text == ".my/many/f1049\n"
    assert person.run("cat", ".my/many/f104?").text == "".join(names[1040:])


def test_the_console_script_and_the_module_are_one(person: Home, work: Path) -> None:
    words = person.command("ls")
    python = Path(words[0]).with_name("python")
    done = subprocess.run([python, "-m", "algo_core", "ls"], env=person.environ, capture_output=True, check=True)
    assert done.stdout == person.run("ls").stdout
