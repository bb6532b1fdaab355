"""A plugin that does not work never keeps anybody from working."""

import subprocess
import sys

import pytest

from algo_core.testing import Home

HEAD = "from algo_core import Command, Connector, Profile, DoctorCheck, hookimpl\n"
COMMANDS = "@hookimpl\ndef algo_commands():\n    return [Command('acme', 'acme_bad.commands:run', 'Say acme.')]\n"

BAD_MODULES = {
    "import error": "import no_such_module\n" + HEAD + COMMANDS,
    "syntax error": HEAD + "def (",
    "exit": "import sys\nsys.exit(3)\n",
    "recursion": HEAD + "def f(): return f()\nf()\n",
    "exception group of its own": "class Odd(BaseException): pass\nraise Odd('odd')\n",
    "hook raises": HEAD + "@hookimpl\ndef algo_commands():\n    raise ValueError('no')\n",
    "hook exits": HEAD + "@hookimpl\ndef algo_commands():\n    raise SystemExit\n",
    "hook returns rubbish": HEAD + "@hookimpl\ndef algo_commands():\n    return 42\n",
    "hook returns a list of rubbish": HEAD
    + "@hookimpl\ndef algo_commands():\n    return [Command('a', 'b:c', 'd'), 'e']\n",
    "needs a later hook API": "ALGO_API = '>=2'\n" + HEAD + COMMANDS,
    "unreadable hook API": "ALGO_API = 'newest'\n" + HEAD + COMMANDS,
}


@pytest.fixture
def home(algo_home: Home, plugin_folder) -> Home:
    algo_home.environ["PYTHONPATH"] = str(plugin_folder.path)
    algo_home.environ["ALGO_CACHE_DIR"] = str(algo_home.root / "cache")
    return algo_home


@pytest.mark.parametrize("kind", BAD_MODULES)
def test_everything_else_works(home: Home, plugin_folder, add_command, kind: str) -> None:
    plugin_folder.add("acme-bad", BAD_MODULES[kind])
    add_command("acme-good", "good")
    for arguments in (["--help"], ["--version"], ["config", "list"], ["plugins", "list"], ["good"], ["auth", "--help"]):
        result = home.run(*arguments)
        assert (result.code, "Traceback" in result.stderr) == (0, False), (arguments, result)
    listed = {row["distribution"]: row for row in home.run("plugins", "list", "--json").json}
    assert listed["acme-bad"]["status"].startswith("broken: ")
    assert listed["acme-good"]["status"] == "ok"
    doctor = home.run("doctor", "--json")
    assert doctor.code == 1
    assert any(row["check"] == "plugin acme-bad 1.0" and not row["ok"] for row in doctor.json)


def test_a_command_of_a_plugin_that_broke_stays_listed_with_a_mark(home: Home, plugin_folder, add_command) -> None:
    package = add_command("acme-bad", "acme")
    assert home.run("acme").text == "hello\n"
    (package / "plugin.py").write_text("import no_such_module\n")
    assert "(broken: acme-bad 1.0) Say acme." in home.run("--help").text
    result = home.run("acme")
    assert result.code == 8
    assert "acme-bad 1.0" in result.stderr
    assert "No module named 'no_such_module'" in result.stderr
    assert "algo plugins disable acme-bad" in result.stderr


def test_a_command_whose_module_does_not_load_says_why(home: Home, add_command) -> None:
    package = add_command("acme-bad", "acme")
    (package / "commands.py").write_text("import no_such_module\n")
    result = home.run("acme")
    assert result.code == 8
    assert "acme-bad 1.0 is broken: ModuleNotFoundError" in result.stderr
    assert "Traceback" not in result.stderr
    assert "no_such_module" in home.run("--debug", "acme").stderr
    (package / "commands.py").write_text("run = 42\n")
    assert home.run("acme").code == 8


def test_hooks_that_fail_are_reported_once_and_left_out(home: Home, plugin_folder, platform) -> None:
    body = "    raise SystemExit('no')\n"
    plugin_folder.add(
        "acme-bad",
        HEAD
        + "@hookimpl\ndef algo_configure_session(session, profile):\n" + body
        + "@hookimpl\ndef algo_error_hints(error):\n" + body
        + "@hookimpl\ndef algo_credentials(profile):\n" + body
        + "@hookimpl\ndef algo_default_profile(name):\n" + body
        + "@hookimpl\ndef algo_doctor_checks():\n" + body,
    )  # fmt: skip
    plugin_folder.add(
        "acme-good",
        HEAD + "from algo_core.credentials import classify\n"
        "@hookimpl\ndef algo_configure_session(session):\n    session.headers['X-Good'] = '1'\n"
        "@hookimpl\ndef algo_error_hints(error):\n    return 'ask the help desk'\n"
        "@hookimpl(trylast=True)\ndef algo_credentials(profile):\n    return classify('sim' + 'k' * 25, origin='vault')\n"
        "@hookimpl(trylast=True)\ndef algo_default_profile(name):\n"
        f"    return Profile(name, '{platform.address}', origin='acme-good')\n"
        "@hookimpl\ndef algo_doctor_checks():\n    return [DoctorCheck('archive', lambda: (True, 'reachable'))]\n",
    )
    result = home.run("doctor", "--json")
    checks = {row["check"]: row for row in result.json}
    assert checks["platform"] == {"check": "platform", "ok": True, "text": "account alice"}
    assert checks["archive"]["ok"]
    assert platform.seen[0].headers["X-Good"] == "1"
    assert result.stderr.count("acme-bad 1.0 failed in algo_configure_session: it called sys.exit('no')") == 1
    assert result.stderr.count("failed in algo_credentials") == 1
    failed = home.run("profile", "remove", "nope")
    assert failed.code == 5
    assert "hint: ask the help desk" in failed.stderr


def test_unknown_hooks_are_reported_not_fatal(home: Home, plugin_folder) -> None:
    plugin_folder.add("acme-new", HEAD + "@hookimpl\ndef algo_of_the_future():\n    pass\n")
    listed = {row["distribution"]: row for row in home.run("plugins", "list", "--json").json}
    assert listed["acme-new"]["status"] == "ok"
    assert "algo_of_the_future" in listed["acme-new"]["remarks"][0]


def test_two_plugins_with_one_command_both_are_named(home: Home, add_command) -> None:
    add_command("acme-a", "greet", "from a")
    add_command("acme-b", "greet", "from b")
    result = home.run("greet")
    assert result.code == 2
    assert "acme-a 1.0 and acme-b 1.0" in result.stderr
    assert "claimed by 2 plugins" in home.run("--help").text
    assert home.run("plugins", "disable", "acme-a").code == 0
    assert home.run("greet").text == "from b\n"
    assert home.run("plugins", "enable", "acme-a").code == 0
    assert home.run("greet").code == 2
    assert home.run("--no-plugin", "acme-b", "greet").text == "from a\n"


def test_built_in_names_are_reserved(home: Home, add_command) -> None:
    add_command("acme-evil", "auth", "stolen")
    assert "stolen" not in home.run("auth", "--help").text
    assert "enter" not in home.run("auth", "--help").text


@pytest.mark.parametrize("how", ["setting", "variable", "flag", "all"])
def test_what_is_disabled_is_not_even_loaded(home: Home, plugin_folder, how: str) -> None:
    plugin_folder.add("acme-bad", f"open({str(home.root / 'loaded')!r}, 'w').close()\n" + HEAD + COMMANDS)
    arguments, environ = ["--help"], {}
    if how == "setting":
        home.write_config('[plugins]\ndisabled = ["Acme_Bad"]\n')
    elif how == "variable":
        environ = {"ALGO_DISABLE_PLUGINS": "other,acme-bad"}
    else:
        arguments = ["--no-plugins", "--help"] if how == "all" else ["--no-plugin", "acme-bad", "--help"]
    result = home.run(*arguments, environ=environ)
    assert "acme" not in result.text.replace("--no-plugin", "")
    assert not (home.root / "loaded").exists()


def test_a_plugin_whose_hook_takes_what_does_not_exist_is_left_out(home: Home, plugin_folder) -> None:
    plugin_folder.add("acme-bad", HEAD + "@hookimpl\ndef algo_error_hints(error, colour):\n    return 'x'\n")
    result = home.run("profile", "remove", "nope")
    assert result.code == 5
    assert "acme-bad 1.0" in result.stderr
    assert "colour" in result.stderr


def test_the_public_names_are_importable_and_lazy() -> None:
    code = (
        "import sys, algo_core; assert 'click' not in sys.modules; [getattr(algo_core, n) for n in algo_core.__all__]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
