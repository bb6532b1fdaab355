"""Installing beside the core, in every kind of environment, with real tools and wheels made on the spot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from algo_core.errors import ExitCode

KINDS = ["venv", "bare", "pipx", "uv-tool"]


def recorded(place) -> str:
    return place.home.config_file.read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_install_upgrade_and_uninstall_where_algo_is(make_place, house, kind: str) -> None:
    house.library("acme-lib", "1.0")
    house.plugin("acme-greet", "1.0", requires=["acme-lib"], lib="acme_lib")
    place = make_place(kind)
    result = place.install("acme-greet>=1")
    assert (result.code, result.text) == (ExitCode.OK, "Installed acme-lib 1.0\nInstalled acme-greet 1.0: greet\n") or (
        sorted(result.text.splitlines()) == ["Installed acme-greet 1.0: greet", "Installed acme-lib 1.0"]
    ), result
    assert "  acme-greet 1.0" in result.stderr
    assert place.run("greet", "x").json["words"] == ["x"]
    assert 'installed = ["acme-greet>=1"]' in recorded(place)
    if kind == "pipx":
        kept = json.loads((place.python.parents[1] / "pipx_metadata.json").read_text())
        assert kept["injected_packages"]["acme-greet"]["package_or_url"] == "acme-greet>=1"

    house.plugin("acme-greet", "2.0", text="hello again")
    house.library("acme-lib", "3.0")
    result = place.run("plugins", "upgrade", "--json")
    assert result.json["changes"] == [
        {
            "environment": "venv" if kind == "bare" else kind,
            "distribution": "acme-greet",
            "version": "2.0",
            "previous": "1.0",
            "action": "upgrade",
        }
    ]
    assert place.run("greet").json["say"] == "hello again"
    assert place.run("plugins", "upgrade").text == "Nothing to upgrade\n"

    result = place.run("plugins", "uninstall", "Acme_Greet")
    assert (result.code, result.text) == (ExitCode.OK, "Removed acme-greet\n"), result
    assert place.run("greet").code == ExitCode.USAGE
    assert "acme-greet" not in recorded(place)
    assert "acme-greet" not in place.versions()
    assert "acme-lib" in place.versions()


def test_what_a_tool_upgrade_dropped_is_restored(make_place, house) -> None:
    house.plugin("acme-greet")
    house.plugin("acme-other", command="other")
    place = make_place("uv-tool")
    assert place.install("acme-greet", "acme-other").code == ExitCode.OK
    tool = [
        "uv",
        "tool",
        "install",
        "--force",
        "--reinstall",
        "--python",
        sys.executable,
        "--with",
        "algo-plugins",
        "algo-core",
    ]
    path = os.pathsep.join([place.home.environ["PATH"], os.environ["PATH"]])
    subprocess.run(tool, env={**place.home.environ, "PATH": path}, check=True, capture_output=True)
    assert "acme-greet" not in place.versions()
    assert place.run("plugins", "restore", "-q").text.count("Installed ") == 2
    assert place.run("greet").code == ExitCode.OK
    assert place.run("plugins", "restore").text == "Nothing is missing\n"


def test_pipx_reinstall_brings_the_plugins_back(make_place, house) -> None:
    house.plugin("acme-greet")
    place = make_place("pipx")
    assert place.install("acme-greet").code == ExitCode.OK
    pipx = ["pipx", "reinstall", "--python", sys.executable, "algo-core"]
    environ = {**place.home.environ, "PATH": place.home.environ["PATH"]}
    done = subprocess.run(pipx, env=environ, capture_output=True, text=True)
    assert done.returncode == ExitCode.OK, done.stdout + done.stderr
    assert place.run("greet").code == ExitCode.OK


@pytest.mark.parametrize(("kind", "tool"), [("pipx", "pipx"), ("uv-tool", "uv"), ("bare", "uv")])
def test_a_tool_that_is_not_on_the_path_is_asked_for(make_place, house, tmp_path, kind: str, tool: str) -> None:
    house.plugin("acme-greet")
    place = make_place(kind)
    (tmp_path / "bin" / tool).unlink()
    result = place.install("acme-greet")
    assert result.code == ExitCode.CONFIGURATION
    assert tool in result.stderr.partition("hint: ")[2]


def test_what_would_break_the_installed_is_refused_before_anything_changes(venv, house) -> None:
    for version in ("1.0", "2.0"):
        house.library("acme-lib", version)
    house.plugin("acme-new", command="new", requires=["acme-lib>=2"], lib="acme_lib")
    house.plugin("acme-old", command="old", requires=["acme-lib<2"], lib="acme_lib")
    assert venv.install("acme-new").code == ExitCode.OK
    before, config = venv.versions(), recorded(venv)
    result = venv.install("acme-old")
    assert result.code == ExitCode.FAILURE
    assert "acme-new 1.0 needs acme-lib>=2, and would get acme-lib 1.0" in result.stderr
    assert "hint: Install it into a separate environment: algo plugins install --isolated" in result.stderr
    assert (venv.versions(), recorded(venv)) == (before, config)
    assert venv.run("new").json["lib"] == "2.0"


@pytest.mark.parametrize("kind", ["venv", "bare"])
def test_a_clash_with_the_core_is_refused(make_place, house, kind: str) -> None:
    house.library("click", "7.1.2")
    house.plugin("acme-old", requires=["click<8"])
    place = make_place(kind)
    before = place.versions()
    result = place.install("acme-old")
    assert result.code == ExitCode.FAILURE
    assert "click" in result.stderr
    assert "--isolated" in result.stderr
    assert place.versions() == before
    assert "acme-old" not in recorded(place)


def test_another_core_is_never_taken(venv, house) -> None:
    house.plugin("acme-next", requires=["algo-core>=90"])
    house.wheel("algo-core", "99.0", {"algo_core/__init__.py": ""})
    result = venv.install("acme-next")
    assert result.code == ExitCode.FAILURE
    assert venv.run("--version").code == ExitCode.OK
    assert venv.install("algo-core").code == ExitCode.USAGE
    assert venv.run("plugins", "upgrade", "algo-core").code == ExitCode.NOT_FOUND
    assert venv.run("plugins", "uninstall", "algo-core").code == ExitCode.USAGE


def test_files_and_directories_are_installed_and_restored(venv, house, tmp_path) -> None:
    wheel = house.plugin("acme-greet").rename(tmp_path / "acme_greet-1.0-py3-none-any.whl")
    result = venv.install(f"./{wheel.name}", cwd=tmp_path)
    assert (result.code, venv.run("greet").code) == (ExitCode.OK, ExitCode.OK), result
    assert f'installed = ["acme-greet @ {wheel.as_uri()}"]' in recorded(venv)
    subprocess.run([venv.python, "-m", "pip", "uninstall", "-q", "-y", "acme-greet"], env=venv.home.environ, check=True)
    assert venv.run("greet").code == ExitCode.USAGE
    assert venv.run("plugins", "restore").code == ExitCode.OK
    assert venv.run("greet").code == ExitCode.OK


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nope nope"], ExitCode.USAGE),
        (["--", "-r"], ExitCode.USAGE),
        (["./nothing.whl"], ExitCode.NOT_FOUND),
        (["https://host/x"], ExitCode.USAGE),
        (["acme>="], ExitCode.USAGE),
        ([], ExitCode.USAGE),
        (["-r", os.devnull], ExitCode.USAGE),
        (["-y", "--isolated", "-r", os.devnull], ExitCode.USAGE),
    ],
)
def test_what_is_no_requirement_is_explained(algo_home, words: list[str], code: int) -> None:
    result = algo_home.run("plugins", "install", *words)
    assert result.code == code
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("kind", ["venv", "bare"])
def test_what_does_not_exist_and_no_network_are_told_apart(make_place, house, kind: str) -> None:
    place = make_place(kind)
    config = recorded(place)
    result = place.install("acme-nowhere", environ={"UV_OFFLINE": "0", "UV_DEFAULT_INDEX": house.path.as_uri()})
    assert result.code == ExitCode.FAILURE
    assert "acme-nowhere" in result.stderr
    assert "--isolated" not in result.stderr
    away = "http://me:s3cret@127.0.0.1:9/simple?key=t0ken"
    offline = {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": away, "PIP_RETRIES": "0", "UV_OFFLINE": "0", "UV_DEFAULT_INDEX": away,
               "UV_HTTP_RETRIES": "0"}  # fmt: skip
    result = place.install("acme-nowhere", environ=offline)
    assert result.code == ExitCode.NETWORK
    assert "could not be reached" in result.stderr
    assert "s3cret" not in result.stderr + result.text
    assert "t0ken" not in result.stderr + result.text
    assert recorded(place) == config


def test_secrets_in_urls_are_not_shown(venv) -> None:
    result = venv.install("acme-greet @ https://me:s3cret@127.0.0.1:9/acme_greet-1.0-py3-none-any.whl?sig=t0ken")
    assert result.code == ExitCode.NETWORK
    assert "s3cret" not in result.stderr
    assert "t0ken" not in result.stderr


@pytest.mark.parametrize(
    ("policy", "requirement", "code"),
    [
        ('allow = ["algo-*"]', "acme-greet", ExitCode.AUTHENTICATION),
        ('deny = ["acme-*<2"]', "acme-greet==1.0", ExitCode.AUTHENTICATION),
        ('deny = ["acme-lib"]', "acme-greet==1.0", ExitCode.AUTHENTICATION),
        ('deny = ["acme-greet<2"]', "acme-greet", ExitCode.OK),
        ('allow = ["acme-greet>=1"]', "acme-greet", ExitCode.OK),
    ],
)
def test_the_administrator_is_asked_before(place, house, policy: str, requirement: str, code: int) -> None:
    house.library("acme-lib", "1.0")
    house.plugin("acme-greet", "1.0", requires=["acme-lib"])
    house.plugin("acme-greet", "2.0")
    site = place.home.root / "site.toml"
    site.write_text(f"[plugins]\n{policy}\n")
    before = place.versions()
    result = place.install(requirement)
    assert result.code == code, result
    if code:
        assert str(site) in result.stderr
        assert place.versions() == before
    isolated = place.install("--isolated", requirement)
    assert isolated.code == (code or 1)


def test_what_the_administrator_requires_stays(place, house) -> None:
    house.plugin("acme-greet")
    (place.home.root / "site.toml").write_text('[plugins]\nrequire = ["acme-greet>=1"]\n')
    assert place.install("acme-greet").code == ExitCode.OK
    result = place.run("plugins", "uninstall", "acme-greet")
    assert result.code == ExitCode.AUTHENTICATION
    assert "is required by" in result.stderr
    assert place.run("greet").code == ExitCode.OK


@pytest.mark.parametrize("source", ["import no_such_module", "import os; os._exit(3)", "def algo_commands(:"])
def test_a_plugin_that_is_broken_is_reported_and_not_left_there(place, house, source: str) -> None:
    house.plugin("acme-bad", source=source)
    before = place.versions()
    result = place.install("acme-bad")
    assert result.code == ExitCode.PLUGIN
    assert "acme-bad 1.0 does not work: " in result.stderr
    assert "acme-bad was removed again" in result.stderr
    assert "acme-bad" not in recorded(place)
    assert place.versions() == before


def test_the_record_keeps_comments_and_order(place, house) -> None:
    for name in ("acme-a", "acme-b"):
        house.plugin(name, command=name[-1])
    place.home.write_config(
        PROFILE_TEXT
        + '[plugins]\n# why\ninstalled = [\n    "acme-b>=1",  # for the reports\n]\n\n[plugins.commands]\nx = "y"\n'
    )
    assert place.install("acme-a").code == ExitCode.OK
    assert place.install("acme-b==1.0").code == ExitCode.OK
    text = recorded(place)
    assert "# why" in text
    assert '"acme-b==1.0",  # for the reports' in text
    assert '"acme-a"' in text
    assert '[plugins.commands]\nx = "y"' in text
    assert place.run("plugins", "uninstall", "acme-b").code == ExitCode.OK
    assert "acme-b" not in recorded(place).replace("for the reports", "")
    assert "acme-a" in recorded(place)


PROFILE_TEXT = '[profiles.default]\naddress = "https://platform.example"\napi_key = "sim123456789012345678901234"\n'


@pytest.mark.parametrize("text", ["installed = 3", "installed = [3]", 'installed = ["!!"]', 'installed = ["acme >="]'])
def test_a_record_that_cannot_be_read_is_explained(algo_home, text: str) -> None:
    algo_home.write_config(f"[plugins]\n{text}\n")
    result = algo_home.run("plugins", "restore")
    assert result.code in (ExitCode.USAGE, ExitCode.CONFIGURATION)
    assert str(algo_home.config_file) in result.stderr


def test_uninstall_looks_at_who_needs_it(place, house) -> None:
    house.plugin("acme-base", command="base")
    house.plugin("acme-top", command="top", requires=["acme-base"])
    assert place.install("acme-top").code == ExitCode.OK
    result = place.run("plugins", "uninstall", "acme-base")
    assert result.code == ExitCode.FAILURE
    assert "acme-top 1.0 needs acme-base" in result.stderr
    assert place.run("base").code == ExitCode.OK
    assert place.run("plugins", "uninstall", "acme-base", "acme-top").code == ExitCode.OK
    for name in ("acme-top", "requests", "acme-never"):
        assert place.run("plugins", "uninstall", name).code == ExitCode.NOT_FOUND


def test_standard_plugins_are_removed_after_a_question_only(place, house) -> None:
    house.plugin("algo-run", command="run")
    assert place.install("algo-run").code == ExitCode.OK
    result = place.run("plugins", "uninstall", "algo-run")
    assert result.code == ExitCode.USAGE
    assert "--yes" in result.stderr
    assert place.run("plugins", "uninstall", "algo-run", "--yes").code == ExitCode.OK


def test_a_person_at_a_terminal_is_asked(venv, house) -> None:
    import pexpect

    house.plugin("acme-greet")
    for answer, installed in (("n", False), ("y", True)):
        algo = pexpect.spawn(
            str(venv.home.algo),
            ["plugins", "install", "acme-greet"],
            env=venv.home.environ,
            encoding="utf-8",
            timeout=120,
        )
        algo.expect_exact("acme-greet 1.0")
        algo.expect_exact("Install? [y/N]: ")
        algo.sendline(answer)
        algo.expect(pexpect.EOF)
        algo.close()
        assert ("acme-greet" in venv.versions()) is installed
        assert ("acme-greet" in recorded(venv)) is installed
        assert algo.exitstatus == (ExitCode.OK if installed else ExitCode.FAILURE)


def test_the_tools_are_not_sent_elsewhere_by_the_environment(venv, house, tmp_path) -> None:
    house.plugin("acme-greet")
    away = {"PIP_TARGET": str(tmp_path / "elsewhere"), "VIRTUAL_ENV": str(tmp_path), "PIP_REQUIRE_VIRTUALENV": "1"}
    assert venv.install("acme-greet", environ=away).code == ExitCode.OK
    assert venv.run("greet").code == ExitCode.OK
    assert not (tmp_path / "elsewhere").exists()


def test_a_damaged_wheel_installs_nothing_and_is_not_recorded(venv, house) -> None:
    (house.path / "acme_greet-1.0-py3-none-any.whl").write_bytes(b"not a wheel")
    before = venv.versions()
    result = venv.install("acme-greet")
    assert result.code == ExitCode.FAILURE
    assert "pip could not install acme-greet" in result.stderr
    assert "Traceback" not in result.stderr
    assert venv.versions() == before
    assert "acme" not in recorded(venv)


def test_a_pip_that_is_too_old_is_said(place, house) -> None:
    main = "import sys\nsys.exit('no such option: --report')\n"
    house.wheel("pip", "20.0", {"pip/__init__.py": "", "pip/__main__.py": main})
    uv = [
        place.home.environ["PATH"].split(":")[0] + "/uv",
        "pip",
        "install",
        "--python",
        str(place.python),
        "pip==20.0",
    ]
    subprocess.run(uv, env=place.home.environ, check=True, capture_output=True)
    result = place.install("acme-greet")
    assert result.code == ExitCode.FAILURE
    assert "pip install -U pip" in result.stderr


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python cannot leave out the current directory before")
def test_modules_in_the_current_directory_are_not_taken_for_those_of_pip(venv, house, tmp_path) -> None:
    house.plugin("acme-greet")
    (tmp_path / "strange").mkdir()
    for name in ("json.py", "pip.py", "venv.py", "click.py"):
        (tmp_path / "strange" / name).write_text("raise SystemExit('strange')")
    assert venv.install("acme-greet", cwd=tmp_path / "strange").code == ExitCode.OK
    assert venv.install("--isolated", "./nothing.whl", cwd=tmp_path / "strange").code == ExitCode.NOT_FOUND
    assert venv.run("plugins", "uninstall", "acme-greet", cwd=tmp_path / "strange").code == ExitCode.OK
    assert venv.install("--isolated", "acme-greet", cwd=tmp_path / "strange").code == ExitCode.OK


def test_an_interrupted_installation_records_nothing(place, house, tmp_path) -> None:
    tool = tmp_path / "bin" / "uv"
    real = tool.resolve()
    tool.unlink()
    tool.write_text(
        f"#!{sys.executable}\nimport os, sys, time\n"
        "if '--dry-run' not in sys.argv:\n"
        f"    open({str(tmp_path / 'begun')!r}, 'w').close()\n"
        "    try:\n        time.sleep(60)\n    except KeyboardInterrupt:\n"
        f"        time.sleep(1)\n        open({str(tmp_path / 'put-back')!r}, 'w').close()\n        sys.exit(1)\n"
        f"os.execv({str(real)!r}, sys.argv)\n"
    )
    tool.chmod(0o755)
    house.plugin("acme-greet")
    config = recorded(place)
    command = place.home.command("plugins", "install", "acme-greet")
    running = subprocess.Popen(command, env=place.home.environ, start_new_session=True, stderr=subprocess.PIPE)
    while not (tmp_path / "begun").exists():
        assert running.poll() is None
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == ExitCode.INTERRUPTED
    assert (tmp_path / "put-back").exists()
    assert recorded(place) == config


def test_a_library_is_installed_and_recorded_with_a_remark(place, house) -> None:
    house.library("acme-lib", "1.0")
    result = place.install("acme-lib")
    assert (result.code, result.text) == (ExitCode.OK, "Installed acme-lib 1.0\n")
    assert "acme-lib has no plugin" in result.stderr
    assert place.run("plugins", "uninstall", "acme-lib").code == ExitCode.OK
    result = place.install("--isolated", "acme-lib")
    assert (result.code, "has no command" in result.stderr) == (ExitCode.PLUGIN, True)
