"""The index is always right, whatever happens to the installation, and never in the way."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.plugins.index import build, read
from algo_core.plugins.policy import Policy
from algo_core.plugins.separate import examine_all
from algo_core.testing import Home


@pytest.fixture
def home(algo_home: Home, plugin_folder) -> Home:
    algo_home.environ["PYTHONPATH"] = str(plugin_folder.path)
    algo_home.environ["ALGO_CACHE_DIR"] = str(algo_home.root / "cache")
    algo_home.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return algo_home


def names(home: Home) -> set[str]:
    """What completion offers: it comes from the index alone."""
    environ = {**home.environ, "_ALGO_COMPLETE": "bash_complete", "COMP_WORDS": "algo ", "COMP_CWORD": "1"}
    done = subprocess.run(home.command(), env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return {line.partition(",")[2] for line in done.stdout.splitlines()}


def modules_after(home: Home, *arguments: str) -> set[str]:
    """The modules that a command has imported."""
    code = (
        "import sys, io, json\nsys.argv = ['algo', *sys.argv[1:]]\nout, sys.stdout = sys.stdout, io.StringIO()\n"
        "from algo_core.main import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        "out.write(json.dumps(sorted(sys.modules)))"
    )
    import json

    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=home.environ, cwd=home.root, capture_output=True, check=True
    )
    return set(json.loads(done.stdout))


def test_install_upgrade_and_uninstall_are_seen(home: Home, plugin_folder, add_command) -> None:
    assert "greet" not in names(home)
    package = add_command("acme-greet", "greet")
    assert "greet" in names(home)
    shutil.rmtree(plugin_folder.path / "acme_greet-1.0.dist-info")
    add_command("acme-greet", "welcome", version="2.0")
    assert {"greet", "welcome"} & names(home) == {"welcome"}
    shutil.rmtree(package)
    shutil.rmtree(plugin_folder.path / "acme_greet-2.0.dist-info")
    assert "welcome" not in names(home)


def test_an_edit_of_the_plugin_module_is_seen(home: Home, add_command) -> None:
    package = add_command("acme-greet", "greet")
    assert "greet" in names(home)
    file = package / "plugin.py"
    file.write_text(file.read_text().replace('"greet"', '"welcome"'))
    assert {"greet", "welcome"} & names(home) == {"welcome"}


def test_an_edit_of_a_module_that_the_plugin_module_imports_is_seen(home: Home, plugin_folder) -> None:
    package = plugin_folder.add(
        "acme-table",
        "from algo_core import Command, hookimpl\nfrom acme_table.table import NAMES\n@hookimpl\ndef algo_commands():\n"
        "    return [Command(n, 'acme_table.commands:run', n) for n in NAMES]\n",
    )
    (package / "table.py").write_text("NAMES = ['one']\n")
    assert "one" in names(home)
    (package / "table.py").write_text("NAMES = ['two', 'three']\n")
    assert {"one", "two", "three"} & names(home) == {"two", "three"}


def test_a_second_look_imports_no_plugin(home: Home, add_command) -> None:
    add_command("acme-greet", "greet")
    add_command("acme-other", "other")
    modules_after(home, "--help")
    assert not {"acme_greet", "acme_other", "pluggy"} & modules_after(home, "--help")
    assert {"acme_greet", "acme_other"} & modules_after(home, "greet") == {"acme_greet"}


@pytest.mark.parametrize("damage", [b"", b"\0" * 50, b"{", b"\xe3\x05\x00\x00\x00"])
def test_a_damaged_cache_costs_only_time(home: Home, add_command, damage: bytes) -> None:
    add_command("acme-greet", "greet")
    names(home)
    files = list((home.root / "cache").glob("*.index"))
    assert files
    for file in files:
        file.write_bytes(damage)
    assert "greet" in names(home)
    assert all(file.read_bytes() != damage for file in files)


def test_a_cut_cache_costs_only_time(home: Home, add_command) -> None:
    add_command("acme-greet", "greet")
    names(home)
    for file in (home.root / "cache").glob("*.index"):
        file.write_bytes(file.read_bytes()[:-7])
    assert "greet" in names(home)


def test_a_cache_that_cannot_be_written_costs_only_time(home: Home, add_command) -> None:
    add_command("acme-greet", "greet")
    (home.root / "cache").write_text("a file in the place of the directory")
    assert "greet" in names(home)
    assert home.run("greet").text == "hello\n"


def test_two_interpreters_share_a_cache_directory(home: Home, add_command, tmp_path: Path) -> None:
    """Another prefix means another index file, whatever else is equal."""
    add_command("acme-greet", "greet")
    assert "greet" in names(home)
    (tmp_path / "other").mkdir()
    other = {**home.environ, "PYTHONPATH": str(tmp_path / "other")}
    done = subprocess.run(home.command("--help"), env=other, capture_output=True, text=True, check=True)
    assert "greet" not in done.stdout
    assert "greet" in names(home)
    assert len(list((home.root / "cache").glob("*.index"))) == 2


def test_many_processes_build_it_at_once(home: Home, add_command) -> None:
    add_command("acme-greet", "greet")
    started = [
        subprocess.Popen(home.command("greet"), env=home.environ, stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]
    assert [process.communicate(timeout=60)[0] for process in started] == ["hello\n"] * 8
    assert [file.suffix for file in (home.root / "cache").iterdir()] == [".index"]


def test_a_sys_path_entry_that_cannot_be_read_is_passed_over(
    home: Home, plugin_folder, add_command, tmp_path: Path
) -> None:
    add_command("acme-greet", "greet")
    (tmp_path / "file-entry").write_text("")
    home.environ["PYTHONPATH"] = os.pathsep.join(
        [str(tmp_path / "missing"), str(tmp_path / "file-entry"), str(plugin_folder.path)]
    )
    assert "greet" in names(home)


def test_a_damaged_distribution_does_not_hide_the_others(home: Home, plugin_folder, add_command) -> None:
    add_command("acme-greet", "greet")
    broken = plugin_folder.path / "damaged-1.0.dist-info"
    broken.mkdir()
    (broken / "entry_points.txt").write_text("[algo.plugins\n= nothing")
    assert "greet" in names(home)


def test_a_distribution_that_is_found_twice_counts_once(home: Home, plugin_folder, add_command) -> None:
    add_command("acme-greet", "greet")
    home.environ["PYTHONPATH"] = os.pathsep.join([str(plugin_folder.path)] * 2)
    assert home.run("greet").text == "hello\n"


def damages(content: bytes) -> Iterator[bytes]:
    """The content with each byte changed in two ways, with a byte put in at each place, and cut at each place."""
    for at in range(len(content)):
        yield content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]
        yield content[:at] + bytes([content[at] ^ 0x01]) + content[at + 1 :]
        yield content[:at] + b"\x00" + content[at:]
        yield content[:at]
    yield content + b"x"


def test_no_damaged_byte_is_believed(home: Home, plugin_folder, add_command, monkeypatch: pytest.MonkeyPatch) -> None:
    """marshal would crash, take all memory, or believe another command's name; it is never given such a file."""
    add_command("acme-greet", "greet")
    monkeypatch.setattr(sys, "path", [*sys.path, str(plugin_folder.path)])
    monkeypatch.setattr("algo_core.plugins.index.search_path", lambda: [str(plugin_folder.path)])
    cache, policy = str(home.root / "cache"), Policy()
    build(cache, policy, examine_all)
    (file,) = Path(cache).glob("*.index")
    content = file.read_bytes()
    assert [record.dist for record in read(cache, policy) or []] == ["acme-greet"]
    with file.open("r+b") as opened:
        for damaged in damages(content):
            opened.seek(0)
            opened.write(damaged)
            opened.truncate()
            opened.flush()
            assert read(cache, policy) is None


@pytest.mark.parametrize("damage", ["changed", "inserted", "cut"])
def test_a_damaged_byte_ends_no_command(home: Home, add_command, damage: str) -> None:
    add_command("acme-greet", "greet")
    names(home)
    (file,) = (home.root / "cache").glob("*.index")
    for place in (0, 15, 40, -1):
        content = file.read_bytes()
        at = place % len(content)
        changed, inserted = bytes([content[at] ^ 0xFF]) + content[at + 1 :], b"\xff" + content[at:]
        damaged = content[:at] + {"changed": changed, "inserted": inserted, "cut": b""}[damage]
        file.write_bytes(damaged)
        result = home.run("greet")
        assert (result.code, result.text, result.stderr) == (ExitCode.OK, "hello\n", "")
        assert file.read_bytes() != damaged, "it is made anew"
