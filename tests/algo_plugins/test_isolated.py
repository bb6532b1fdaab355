"""Plugins in environments of their own: clashing requirements, the same configuration, nothing half-made."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from algo_core.errors import ExitCode

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clash(place, house):
    """`new` is installed beside algo and needs acme-lib 2; acme-old needs acme-lib 1."""
    for version in ("1.0", "2.0"):
        house.library("acme-lib", version)
    house.plugin("acme-new", command="new", requires=["acme-lib>=2"], lib="acme_lib")
    house.plugin("acme-old", command="old", requires=["acme-lib<2"], lib="acme_lib")
    assert place.install("acme-new").code == ExitCode.OK
    return place


def listed(place) -> dict[str, dict]:
    return {row["distribution"]: row for row in place.run("plugins", "list", "--json").json}


def contents(place) -> set[str]:
    """What lies beside the environments and in `bin`."""
    if not place.isolated.exists():
        return set()
    bin = place.isolated / "bin"
    return {path.name for path in place.isolated.iterdir()} | {f"bin/{p.name}" for p in bin.glob("*")}


def test_clashing_requirements_live_side_by_side(place, clash) -> None:
    before = place.versions()
    result = place.install("--isolated", "acme-old")
    assert (result.code, result.text) == (ExitCode.OK, "Installed acme-old 1.0: old\n"), result
    old = place.run("old", "-x", "--json", "two words")
    assert old.code == ExitCode.USAGE  # the command itself refuses -x: every word reaches it
    assert "No such option" in old.stderr
    old = place.run("old", "two words").json
    assert (old["lib"], old["words"]) == ("1.0", ["two words"])
    assert old["prefix"] == str(place.isolated / "acme-old")
    assert old["profile"] == "https://platform.example"
    assert place.run("new").json["lib"] == "2.0"
    assert place.versions() == before
    row = listed(place)["acme-old"]
    assert (row["version"], row["commands"], row["status"]) == ("1.0", ["old"], "isolated")
    assert "acme-old" in place.run("plugins", "list").text
    assert str(place.isolated / "acme-old") in place.run("plugins", "show", "acme-old").text
    help = place.run("--help").text
    assert "Say old." in help
    assert "Say something." in place.run("old", "--help").text
    completion = place.run(environ={"_ALGO_COMPLETE": "bash_complete", "COMP_WORDS": "algo ol", "COMP_CWORD": "1"})
    assert completion.text == "plain,old\n"
    assert 'isolated = ["acme-old"]' in place.home.config_file.read_text()


def test_the_profile_is_the_one_that_was_asked_for(place, house) -> None:
    house.plugin("acme-greet")
    assert place.install("--isolated", "acme-greet").code == ExitCode.OK
    with place.home.config_file.open("a") as file:
        file.write('\n[profiles.work]\naddress = "https://work.example"\napi_key = "sim123456789012345678901234"\n')
    assert place.run("--profile", "work", "greet").json["profile"] == "https://work.example"
    assert place.run("greet", "--profile", "work").json["profile"] == "https://work.example"
    alone = subprocess.run(
        [place.isolated / "bin" / "algo-greet"], env=place.home.environ, capture_output=True, check=True
    )
    assert json.loads(alone.stdout)["profile"] == "https://platform.example"


def test_what_surrounds_algo_does_not_reach_in(place, house, tmp_path) -> None:
    house.library("acme-lib", "1.0")
    house.plugin("acme-greet", requires=["acme-lib"], lib="acme_lib")
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "acme_lib.py").write_text("VERSION = 'strange'\n")
    (strange / "json.py").write_text("raise SystemExit('strange')\n")
    assert (
        place.install("--isolated", "acme-greet", cwd=strange, environ={"PYTHONPATH": str(tmp_path)}).code
        == ExitCode.OK
    )
    (strange / "json.py").unlink()
    assert place.run("greet", environ={"PYTHONPATH": str(strange)}, cwd=strange).json["lib"] == "1.0"


@pytest.mark.parametrize("kind", ["venv", "pipx", "uv-tool"])
def test_isolated_wherever_algo_is(make_place, house, kind: str) -> None:
    house.plugin("acme-greet")
    place = make_place(kind)
    result = place.install("--isolated", "acme-greet")
    assert result.code == ExitCode.OK, result
    assert place.run("greet").json["say"] == "hello"
    assert "acme-greet" not in place.versions()
    assert place.run("plugins", "uninstall", "acme-greet").code == ExitCode.OK
    assert contents(place) == {"bin", "commands"}


def test_upgrade_and_uninstall(place, clash, house) -> None:
    assert place.install("--isolated", "acme-old").code == ExitCode.OK
    house.plugin("acme-old", "1.5", command="older", requires=["acme-lib<2"])
    result = place.run("plugins", "upgrade", "acme-old", "--json")
    assert result.json["changes"] == [
        {
            "environment": "isolated", "distribution": "acme-old", "version": "1.5", "previous": "1.0",
            "action": "upgrade",
        }
    ]  # fmt: skip
    assert place.run("older").code == ExitCode.OK
    assert place.run("old").code == ExitCode.USAGE
    assert contents(place) == {"acme-old", ".acme-old.previous", "bin", "commands", "bin/algo-older"}
    for back, command in (("1.0", "old"), ("1.5", "older")):
        result = place.run("plugins", "rollback", "acme-old")
        assert (result.code, f" to {back}: {command}\n" in result.text) == (ExitCode.OK, True), result
        assert place.run(command).code == ExitCode.OK
    assert place.run("plugins", "uninstall", "acme-old").text == "Removed acme-old\n"
    assert place.run("older").code == ExitCode.USAGE
    assert contents(place) == {"bin", "commands"}
    assert "acme-old" not in place.home.config_file.read_text()
    assert place.run("new").code == ExitCode.OK


def test_restore_mends_an_environment_whose_interpreter_is_gone(place, house) -> None:
    house.plugin("acme-greet")
    house.plugin("acme-other", command="other")
    assert place.install("--isolated", "acme-greet", "acme-other").code == ExitCode.OK
    python = place.isolated / "acme-greet" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    shutil.rmtree(place.isolated / "acme-other")
    assert "algo plugins restore" in listed(place)["acme-greet"]["status"]
    doctor = place.run("doctor")
    assert doctor.code == ExitCode.FAILURE
    assert "FAIL  isolated plugin acme-greet" in doctor.text
    result = place.run("plugins", "restore")
    assert result.text == "Reinstalled acme-greet 1.0: greet\nInstalled acme-other 1.0: other\n"
    assert place.run("greet").code == ExitCode.OK
    assert place.run("other").code == ExitCode.OK


def test_a_clash_with_the_core_itself_needs_an_executable(place, house) -> None:
    house.library("click", "7.1.2")
    house.plugin("acme-plain", requires=["click<8"])
    result = place.install("--isolated", "acme-plain")
    assert result.code in (ExitCode.FAILURE, ExitCode.PLUGIN)
    assert "click" in result.stderr, result.stderr
    assert contents(place) <= {"bin", "commands"}

    script = "import sys, click\ndef main():\n    print(click.VERSION, *sys.argv[1:])\n    return 7\n"
    entries = "[console_scripts]\nalgo-ancient = acme_tool:main\nacme = acme_tool:main\n"
    house.wheel("acme-tool", "1.0", {"acme_tool.py": script}, ["click<8"], entries)
    result = place.install("--isolated", "acme-tool")
    assert (result.code, result.text) == (ExitCode.OK, "Installed acme-tool 1.0: ancient\n"), result
    done = place.run("ancient", "--help", "x")
    assert (done.code, done.text) == (ExitCode.PLATFORM, "7.1.2 --help x\n")
    assert "ancient" in place.run("--help").text
    assert place.run("config", "list").code == ExitCode.OK


def test_the_environment_has_what_the_administrator_requires(place, house) -> None:
    house.plugin("acme-bundle", command="bundle")
    house.plugin("acme-greet")
    (place.home.root / "site.toml").write_text('[plugins]\nrequire = ["acme-bundle>=1"]\n')
    assert place.install("acme-bundle").code == ExitCode.OK
    assert place.install("--isolated", "acme-greet").code == ExitCode.OK
    assert place.run("greet").code == ExitCode.OK


@pytest.mark.parametrize(
    ("source", "words"),
    [("import no_such_module", "no_such_module"), ("import os; os._exit(3)", "exit code 3"), ("", "has no command")],
)
def test_a_plugin_that_does_not_work_leaves_nothing(place, house, source: str, words: str) -> None:
    house.plugin("acme-bad", source=source or "pass")
    config = place.home.config_file.read_text()
    result = place.install("--isolated", "acme-bad")
    assert result.code == ExitCode.PLUGIN
    assert words in result.stderr
    assert contents(place) <= {"bin", "commands"}
    assert place.home.config_file.read_text() == config


def test_what_does_not_take_part_is_said(place, house) -> None:
    source = (
        "from algo_core import Command, Connector, hookimpl\n"
        "@hookimpl\ndef algo_commands():\n    return [Command('greet', 'acme_both.commands:run', 'Say.')]\n"
        "@hookimpl\ndef algo_connectors():\n    return [Connector('acme', 'acme_both.commands:run')]\n"
        "@hookimpl\ndef algo_error_hints(error):\n    return None\n"
    )
    house.plugin("acme-both", source=source)
    result = place.install("--isolated", "acme-both")
    assert result.code == ExitCode.OK
    assert "not its algo_error_hints" in result.stderr
    assert listed(place)["acme-both"]["connectors"] == ["acme"]


def test_a_command_that_is_hidden_by_another_is_still_run_by_name(place, house) -> None:
    house.plugin("acme-a", text="from a")
    house.plugin("acme-b", text="from b")
    assert place.install("--isolated", "acme-a").code == ExitCode.OK
    assert place.install("--yes", "acme-b").code == ExitCode.OK
    assert place.run("greet").json["say"] == "from b"
    assert place.run("plugins", "run", "acme-a", "greet").json["say"] == "from a"
    assert place.run("plugins", "run", "acme-a", "other").code == ExitCode.NOT_FOUND
    shutil.rmtree(next(place.isolated.glob("acme-a/lib/*/site-packages/acme_a-1.0.dist-info")))
    assert place.run("plugins", "run", "acme-a", "greet").code == ExitCode.NOT_FOUND  # and does not run in circles


def test_a_core_that_is_installed_from_a_working_tree_is_packed(place, house) -> None:
    house.plugin("acme-greet")
    uv = ["uv", "pip", "install", "--quiet", "--python", str(place.python)]
    for words in (["hatchling", "editables"], ["--no-build-isolation", "--editable", str(ROOT)]):
        path = {"PATH": f"{place.home.environ['PATH']}:{os.environ['PATH']}"}
        subprocess.run([*uv, *words], env=place.home.environ | path, check=True)
    assert place.install("--isolated", "acme-greet").code == ExitCode.OK
    assert place.run("greet").code == ExitCode.OK
    python = place.isolated / "acme-greet" / "bin" / "python"
    code = "import algo_core; print(algo_core.__file__)"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(place.isolated))


def test_an_interpreter_of_the_system_can_have_isolated_plugins(place, house) -> None:
    house.plugin("acme-greet")
    (site,) = place.python.parents[1].glob("lib/*/site-packages")
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    place.home.environ["PYTHONPATH"] = str(site)

    def algo(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-m", "algo_core", *words], env=place.home.environ, capture_output=True, text=True
        )

    refused = algo("plugins", "install", "acme-greet")
    assert refused.returncode == ExitCode.CONFIGURATION
    assert "pipx inject algo-core" in refused.stderr
    assert "algo plugins install --isolated" in refused.stderr
    done = algo("plugins", "install", "--isolated", "acme-greet")
    assert done.returncode == ExitCode.OK, done.stderr
    assert json.loads(algo("greet").stdout)["say"] == "hello"


def test_names_that_are_taken(place, house) -> None:
    house.plugin("acme-a")
    house.plugin("acme-b")
    house.plugin("acme-auth", command="auth")
    assert place.install("--isolated", "acme-a").code == ExitCode.OK
    assert "isolated" not in place.install("acme-a").text
    result = place.install("--isolated", "acme-b")
    assert (result.code, "acme-a has a command 'greet' already" in result.stderr) == (ExitCode.FAILURE, True)
    assert place.install("acme-b").code == ExitCode.USAGE
    assert place.install("--yes", "acme-b").code == ExitCode.OK
    assert place.run("greet").json["prefix"] == str(place.python.parents[1])  # what is installed goes before
    result = place.install("--isolated", "acme-b")
    assert (result.code, "already installed in algo's environment" in result.stderr) == (ExitCode.FAILURE, True)
    result = place.install("--isolated", "acme-auth")
    assert "cannot be reached" in result.stderr
    assert "Configure" in place.run("auth", "--help").text
    for name in ("bin", "commands", "algo-core"):
        assert place.install("--isolated", name).code == ExitCode.USAGE


def test_an_interrupted_installation_leaves_the_older_one(place, clash, house, tmp_path) -> None:
    (tmp_path / "temporary").mkdir()
    place.home.environ["TMPDIR"] = str(tmp_path / "temporary")
    assert place.install("--isolated", "acme-old").code == ExitCode.OK
    slow = "import os, time\nif '.new' in __file__:\n    time.sleep(60)\n"
    house.plugin("acme-old", "1.5", requires=["acme-lib<2"], source=slow)
    for number in (signal.SIGINT, signal.SIGKILL):
        command = place.home.command("plugins", "upgrade", "acme-old")
        running = subprocess.Popen(command, env=place.home.environ, start_new_session=True, stderr=subprocess.PIPE)
        until = time.monotonic() + 60
        while not list(place.isolated.glob(".new/lib/*/site-packages/acme_old-1.5.dist-info/METADATA")):
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        os.killpg(running.pid, number)
        running.communicate()
        assert running.returncode == (ExitCode.INTERRUPTED if number == signal.SIGINT else -number)
        assert any((tmp_path / "temporary").glob("algo-*")) == (number == signal.SIGKILL)
        assert place.run("old").json["lib"] == "1.0"
        assert listed(place)["acme-old"]["version"] == "1.0"
    assert (place.isolated / ".new").exists()
    (place.isolated / "acme-old").rename(place.isolated / ".acme-old.old")  # as if killed between the two renames
    house.plugin("acme-greet")
    assert place.install("--isolated", "acme-greet").code == ExitCode.OK
    assert place.run("old").json["lib"] == "1.0"
    assert contents(place) == {"acme-old", "acme-greet", "bin", "commands", "bin/algo-old", "bin/algo-greet"}


def test_two_at_once_take_turns(place, house) -> None:
    for name in "ab":
        house.plugin(f"acme-{name}", command=name)
    both = [
        subprocess.Popen(
            place.home.command("plugins", "install", "--isolated", f"acme-{name}"),
            env=place.home.environ, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for name in "ab"
    ]  # fmt: skip
    said = [process.communicate()[1].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("Waiting for another algo" in text for text in said) == 1
    assert place.run("a").code == place.run("b").code == ExitCode.OK
    text = place.home.config_file.read_text()
    assert "acme-a" in text
    assert "acme-b" in text


def test_the_help_reads_one_small_file_for_isolated_commands(place, house) -> None:
    house.plugin("acme-greet")
    assert place.install("--isolated", "acme-greet").code == ExitCode.OK
    place.run("--help")
    code = (
        "import sys\nsys.argv = ['algo', '--help']\nfrom algo_core.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [place.python, "-c", code], env=place.home.environ, capture_output=True, text=True, check=True
    )
    assert "Say greet." in done.stdout
    assert not {
        "platformdirs",
        "algo_core.plugins.external",
        "algo_core.plugins.isolated",
        "algo_plugins",
        "subprocess",
        "json",
    } & set(done.stderr.split())


def test_a_place_that_cannot_be_written_is_explained(place, house) -> None:
    house.plugin("acme-greet")
    place.home.root.joinpath("file").write_text("")
    result = place.install("--isolated", "acme-greet", environ={"ALGO_DATA_DIR": str(place.home.root / "file" / "x")})
    assert result.code == ExitCode.CONFIGURATION
    assert "ALGO_DATA_DIR" in result.stderr


def test_of_several_those_before_a_failure_stay_and_are_said(place, house) -> None:
    house.plugin("acme-a", command="a")
    house.plugin("acme-bad", source="import no_such_module")
    result = place.install("--isolated", "acme-a", "acme-bad")
    assert result.code == ExitCode.PLUGIN
    assert "acme-a 1.0 is installed in an environment of its own" in result.stderr
    assert place.run("a").code == ExitCode.OK
    assert contents(place) == {"acme-a", "bin", "commands", "bin/algo-a"}


def test_a_library_of_the_same_name_beside_algo_stays(place, house) -> None:
    house.library("acme-lib", "1.0")
    house.plugin("acme-greet", requires=["acme-lib"])
    assert place.install("acme-greet").code == ExitCode.OK
    house.wheel(
        "acme-lib",
        "2.0",
        {"acme_lib.py": "def main(): print('2')\n"},
        [],
        "[console_scripts]\nalgo-lib = acme_lib:main\n",
    )
    assert place.install("--isolated", "acme-lib").code == ExitCode.OK
    assert place.run("lib").text == "2\n"
    assert place.run("plugins", "uninstall", "acme-lib").code == ExitCode.OK
    assert place.run("lib").code == ExitCode.USAGE
    assert place.versions()["acme-lib"] == "1.0"
