"""`algo template`: what arrives, where, and that all of it arrives or nothing."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from algo_core.errors import ExitCode

SPECIFICATION = "36fd467e-fbfe-4ea6-aa66-df3f403b7132"
FILES = {
    ".adk": b"",
    "algorithmia.conf": b'{"username":"__USER__"}',
    "src/__init__.py": b"",
    "src/__ALGO__.py": b"def apply(input):\n    return input\n",
}


@pytest.fixture
def good(archives) -> bytes:
    return bytes(archives.packed(*(archives.entry(name, content, mode=0o644) for name, content in FILES.items())))


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, hidden ones included."""
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if not p.is_dir()}


def names(directory: Path) -> list[str]:
    """Everything below a directory."""
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*"))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_a_template_is_unpacked_into_a_new_directory(home, environments, good, work) -> None:
    environments.template(good)
    done = home.run("template", SPECIFICATION, "deep/er/dest", cwd=work)
    assert (done.code, done.stdout, done.stderr) == (ExitCode.OK, b"", "Unpacked 4 files into deep/er/dest\n")
    assert tree(work / "deep/er/dest") == FILES
    assert os.listdir(work) == ["deep"]
    assert os.listdir(work / "deep/er") == ["dest"]
    assert environments.paths == [f"/environment-specifications/{SPECIFICATION}/template"]


def test_modes_are_those_of_ordinary_new_files(home, environments, archives, work) -> None:
    environments.template(
        archives.packed(
            archives.entry("data", b"1", mode=0o6666, uid=12345, gid=12345),
            archives.entry("tool", b"1", mode=0o4775),
            archives.entry("secret", b"1", mode=0o000),
            archives.directory("sub"),
        )
    )
    line = 'umask 022; exec "$@"'
    command = ["sh", "-c", line, "sh", *home.command("template", SPECIFICATION, "dest")]
    subprocess.run(command, env=home.environ, cwd=work, capture_output=True, check=True)
    modes = {
        name: stat.S_IMODE((work / "dest" / name).stat().st_mode) for name in (".", "data", "tool", "secret", "sub")
    }
    assert modes == {".": 0o755, "data": 0o644, "tool": 0o755, "secret": 0o644, "sub": 0o755}
    assert (work / "dest/data").stat().st_uid == os.getuid()


def test_no_credential_is_needed(algo_home, environments, good, work) -> None:
    environments.template(good)
    algo_home.write_config(f'[profiles.default]\naddress = "{environments.stub.address}"\n')
    assert algo_home.run("template", SPECIFICATION, work / "dest").code == ExitCode.OK
    assert "Authorization" not in environments.stub.seen[0].headers
    assert tree(work / "dest") == FILES


def test_as_json(home, environments, good, work) -> None:
    environments.template(good)
    done = home.run("template", SPECIFICATION, "dest", "--json", cwd=work)
    assert done.json == {"destination": str(work / "dest"), "files": list(FILES)}
    assert done.stderr == ""


def test_an_archive_that_is_labelled_as_packed_is_unpacked_once(home, environments, good, work) -> None:
    environments.template(environments.answer(200, good, {"Content-Encoding": "gzip"}))
    assert home.run("template", SPECIFICATION, work / "dest").code == ExitCode.OK
    assert environments.stub.seen[0].headers["Accept-Encoding"] == "identity"
    assert tree(work / "dest") == FILES


@pytest.mark.parametrize("prefix", ["./", "", "./././"])
def test_entries_may_be_written_with_a_dot(home, environments, archives, work, prefix) -> None:
    entries = [
        archives.directory(prefix or "./"),
        archives.directory(f"{prefix}src/"),
        archives.directory(f"{prefix}src"),
    ]
    environments.template(archives.packed(*entries, archives.entry(f"{prefix}src//a", b"1")))
    done = home.run("template", SPECIFICATION, work / "dest")
    assert done.code == ExitCode.OK, done.stderr
    assert tree(work / "dest") == {"src/a": b"1"}


def test_the_current_directory_and_what_is_in_it_stay(home, environments, good, work) -> None:
    environments.template(good)
    (work / "mine").write_bytes(b"kept")
    (work / "src").mkdir()
    (work / "src/mine").write_bytes(b"kept too")
    assert home.run("template", SPECIFICATION, ".", cwd=work).code == ExitCode.OK
    assert tree(work) == {**FILES, "mine": b"kept", "src/mine": b"kept too"}
    assert names(work) == sorted([*FILES, "mine", "src", "src/mine"])


def test_files_that_are_there_are_not_overwritten(home, environments, good, work) -> None:
    environments.template(good)
    (work / "src").mkdir()
    (work / "src/__init__.py").write_bytes(b"mine")
    before = names(work)
    done = home.run("template", SPECIFICATION, work)
    assert done.code == ExitCode.FAILURE
    assert "src/__init__.py" in done.stderr
    assert "algorithmia.conf" not in done.stderr
    assert "--force" in done.stderr
    assert names(work) == before
    assert (work / "src/__init__.py").read_bytes() == b"mine"


def test_with_force_they_are(home, environments, good, work) -> None:
    environments.template(good)
    (work / "src").mkdir()
    (work / "src/__init__.py").write_bytes(b"mine")
    (work / "outside").write_bytes(b"not yours")
    (work / ".adk").symlink_to(work / "outside")
    assert home.run("template", SPECIFICATION, work, "--force").code == ExitCode.OK
    assert tree(work) == {**FILES, "outside": b"not yours"}
    assert not (work / ".adk").is_symlink()


def test_many_conflicts_are_counted(home, environments, archives, work) -> None:
    environments.template(archives.packed(*(archives.entry(f"file{n:02}") for n in range(30))))
    for n in range(30):
        (work / f"file{n:02}").write_bytes(b"mine")
    done = home.run("template", SPECIFICATION, work)
    assert "file00, file01, file02, file03, file04 and 25 more" in done.stderr


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_what_is_of_another_kind_stays_even_with_force(home, environments, good, work, tmp_path, force) -> None:
    environments.template(good)
    (tmp_path / "elsewhere").mkdir()
    for obstacle in ("src", "algorithmia.conf/", "src -> ../elsewhere"):
        name, arrow, target = obstacle.partition(" -> ")
        path = work / name.rstrip("/")
        if arrow:
            path.symlink_to(target)
        elif name.endswith("/"):
            path.mkdir()
        else:
            path.write_bytes(b"a file")
        before = names(work)
        done = home.run("template", SPECIFICATION, work, *force)
        assert done.code == ExitCode.FAILURE
        assert f"in each other's way in {work}: {path.name}" in done.stderr
        assert names(work) == before
        assert os.listdir(tmp_path / "elsewhere") == []
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def test_a_link_as_the_destination_is_followed(home, environments, good, work) -> None:
    environments.template(good)
    (work / "real").mkdir()
    (work / "link").symlink_to("real")
    assert home.run("template", SPECIFICATION, work / "link").code == ExitCode.OK
    assert (work / "link").is_symlink()
    assert tree(work / "real") == FILES


def test_a_destination_that_is_a_file_is_refused_before_anything_is_asked_for(home, environments, good, work) -> None:
    environments.template(good)
    (work / "file").write_bytes(b"mine")
    for destination in ("file", "file/below", ""):
        done = home.run("template", SPECIFICATION, destination, cwd=work)
        assert done.code in {ExitCode.FAILURE, ExitCode.USAGE}
        assert "Traceback" not in done.stderr
    assert tree(work) == {"file": b"mine"}


def test_a_merge_that_fails_half_way_is_undone(environments, good, work, archives) -> None:
    """The last file cannot be moved, as on a disk that fails: what was moved before is back."""
    import io

    from algo_env import placement
    from algo_env.archive import unpack

    (work / "dest").mkdir()
    (work / "dest/algorithmia.conf").write_bytes(b"mine")
    with pytest.raises(FileNotFoundError), placement.staging_for(work / "dest") as staging:
        contents = unpack(io.BytesIO(good), staging.new)
        (staging.new / contents.files[-1]).unlink()
        placement.place(staging, contents, work / "dest", force=True)
    assert names(work) == ["dest", "dest/algorithmia.conf"]
    assert (work / "dest/algorithmia.conf").read_bytes() == b"mine"


def test_a_place_that_cannot_be_written_is_an_error(home, environments, good) -> None:
    environments.template(good)
    done = home.run("template", SPECIFICATION, "/proc/nowhere/dest")
    assert done.code in {ExitCode.FAILURE, ExitCode.NOT_FOUND}
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ((404, b'{"error": {"message": "not found"}}', {}), ExitCode.NOT_FOUND, "no template"),
        ((404, b"", {}), ExitCode.NOT_FOUND, "no template"),
        ((500, b"", {}), ExitCode.PLATFORM, "500"),
        ((401, b"", {}), ExitCode.AUTHENTICATION, "algo auth"),
        (
            (200, b'{"error": {"message": "not today"}}', {"Content-Type": "application/json"}),
            ExitCode.FAILURE,
            "not today",
        ),
        ((200, b'{"hello": 1}', {"Content-Type": "application/json"}), ExitCode.PLATFORM, "JSON"),
        ((200, b"<html></html>", {"Content-Type": "text/html"}), ExitCode.PLATFORM, "broken"),
        ((200, b"", {}), ExitCode.PLATFORM, "broken"),
        ((200, b"\x1f\x8b\x08", {"Content-Length": "3000", "Connection": "close"}), ExitCode.NETWORK, "broke"),
    ],
)
def test_an_error_makes_no_directory(home, environments, work, answer, code, said) -> None:
    environments.template(environments.answer(*answer))
    done = home.run("template", SPECIFICATION, "new/dest", cwd=work, environ={"ALGO_RETRIES": "0"})
    assert (done.code, done.stdout) == (code, b"")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert names(work) == []


@pytest.mark.parametrize(
    ("typed", "specification", "name"),
    [
        ("python3", "b2222222-fbfe-4ea6-aa66-df3f403b7132", "Python 3.8"),
        ("python 3.8 + tensorflow gpu 2.3", SPECIFICATION, "Python 3.8 + TensorFlow GPU 2.3"),
    ],
)
def test_a_language_or_an_environments_name_stands_for_its_template(
    home, environments, good, work, typed, specification, name
) -> None:
    environments.template(good, specification=specification)
    done = home.run("template", typed, "dest", cwd=work)
    assert (done.code, done.stderr) == (ExitCode.OK, f"Unpacked 4 files of {name} into dest\n")
    assert tree(work / "dest") == FILES
    told = home.run("template", typed, "other", "--json", cwd=work).json
    assert (told["environment"], told["environment_specification_id"]) == (name, specification)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Python 3.9", "Python 3.10", "Python 3.8"], "Python 3.10"),
        (["Python 3.11 + PyTorch", "Python 3.8"], "Python 3.8"),
        (["Python 3.11 + PyTorch"], "Python 3.11 + PyTorch"),
        (["Generic", "Python"], "Generic"),
    ],
)
def test_a_language_stands_for_its_newest_environment(home, environments, good, work, names, expected) -> None:
    ids = {name: f"{number:08}-0000-0000-0000-000000000000" for number, name in enumerate(names)}
    listed = [{"display_name": name, "environment_specification_id": identifier} for name, identifier in ids.items()]
    environments.environments("java11", environments.json_answer({"environments": listed}))
    environments.template(good, specification=ids[expected])
    assert home.run("template", "java11", work / "dest").code == ExitCode.OK


def test_a_languages_newest_environment_is_by_date_where_versions_are_equal(home, environments, good, work) -> None:
    one, two = (f"{number:08}-0000-0000-0000-000000000000" for number in range(2))
    listed = [
        {"display_name": "Java 11", "environment_specification_id": two, "created_at": "2021-02-01T00:00:00.000"},
        {"display_name": "Java 11", "environment_specification_id": one, "created_at": "2020-02-01T00:00:00.000"},
    ]
    environments.environments("java11", environments.json_answer({"environments": listed}))
    environments.template(good, specification=two)
    assert home.run("template", "java11", work / "dest").code == ExitCode.OK


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("fd980f4f-1f1c-4b2f-a128-d60b40c6567a", f"its template is {SPECIFICATION}"),
        ("pyton3", "Did you mean 'python3'? It has java11, python2, python3; see: algo languages"),
        ("cobol", "hint: It has java11, python2, python3; see: algo languages"),
        ("java11", "Choose another language; see: algo languages"),
        ("00000000-0000-0000-0000-000000000000", "algo environment LANG"),
    ],
)
def test_who_gives_something_else_than_the_specification_is_helped(home, environments, work, typed, said) -> None:
    done = home.run("template", typed, work / "dest")
    assert done.code == ExitCode.NOT_FOUND
    assert said in done.stderr
    assert names(work) == []


@pytest.mark.parametrize("typed", ["", "..", "../../data", "a/template"])
def test_a_specification_cannot_lead_to_another_route(home, environments, work, typed) -> None:
    assert home.run("template", typed, work / "dest").code == ExitCode.USAGE
    assert environments.paths == []


def test_an_interrupted_download_leaves_nothing(home, environments, good, work) -> None:
    came, over = threading.Event(), threading.Event()

    def hold(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(good)))
        handler.end_headers()
        handler.wfile.write(good[:50])
        came.set()
        over.wait(60)

    environments.template(hold)
    with subprocess.Popen(
        home.command("template", SPECIFICATION, "dest"), env=home.environ, cwd=work, stderr=subprocess.PIPE
    ) as process:
        assert came.wait(60)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        over.set()
    assert process.returncode == ExitCode.INTERRUPTED
    assert b"Traceback" not in err
    assert names(work) == []
