"""A plugin that does not work never keeps anybody from working."""

import subprocess
import sys

import pytest

from algo_core.errors import ExitCode
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
        assert (result.code, "Traceback" in result.stderr) == (ExitCode.OK, False), (arguments, result)
    listed = {row["distribution"]: row for row in home.run("plugins", "list", "--json").json}
    assert listed["acme-bad"]["status"].startswith("broken: ")
    assert listed["acme-good"]["status"] == "ok"
    doctor = home.run("doctor", "--json")
    assert doctor.code == ExitCode.FAILURE
    assert any(row["check"] == "plugin acme-bad 1.0" and not row["ok"] for row in doctor.json)


def test_a_command_of_a_plugin_that_broke_stays_listed_with_a_mark(home: Home, plugin_folder, add_command) -> None:
    package = add_command("acme-bad", "acme")
    assert home.run("acme").text == "hello\n"
    (package / "plugin.py").write_text("import no_such_module\n")
    assert "(broken: acme-bad 1.0) Say acme." in home.run("--help").text
    result = home.run("acme")
    assert result.code == ExitCode.PLUGIN
    assert "acme-bad 1.0" in result.stderr
    assert "No module named 'no_such_module'" in result.stderr
    assert "algo plugins disable acme-bad" in result.stderr


def test_a_command_whose_module_does_not_load_says_why(home: Home, add_command) -> None:
    package = add_command("acme-bad", "acme")
    (package / "commands.py").write_text("import no_such_module\n")
    result = home.run("acme")
    assert result.code == ExitCode.PLUGIN
    assert "acme-bad 1.0 is broken: ModuleNotFoundError" in result.stderr
    assert "Traceback" not in result.stderr
    assert "no_such_module" in home.run("--debug", "acme").stderr
    (package / "commands.py").write_text("run = 42\n")
    assert home.run("acme").code == ExitCode.PLUGIN


def test_hooks_that_fail_are_reported_once_and_left_out(home: Home, plugin_folder, stub) -> None:
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
        HEAD + "from algo_core.settings.credentials import classify\n"
        "@hookimpl\ndef algo_configure_session(session):\n    session.headers['X-Good'] = '1'\n"
        "@hookimpl\ndef algo_error_hints(error):\n    return 'ask the help desk'\n"
        "@hookimpl(trylast=True)\ndef algo_credentials(profile):\n    return classify('sim' + 'k' * 25, origin='vault')\n"
        "@hookimpl(trylast=True)\ndef algo_default_profile(name):\n"
        f"    return Profile(name, '{stub.address}', origin='acme-good')\n"
        "@hookimpl\ndef algo_doctor_checks():\n    return [DoctorCheck('archive', lambda: (True, 'reachable'))]\n",
    )
    result = home.run("doctor", "--json")
    checks = {row["check"]: row for row in result.json}
    assert checks["platform"] == {"check": "platform", "ok": True, "text": "account alice"}
    assert checks["archive"]["ok"]
    assert stub.seen[0].headers["X-Good"] == "1"
    assert result.stderr.count("acme-bad 1.0 failed in algo_configure_session: it called sys.exit('no')") == 1
    assert result.stderr.count("failed in algo_credentials") == 1
    failed = home.run("profile", "remove", "nope")
    assert failed.code == ExitCode.NOT_FOUND
    assert "hint: ask the help desk" in failed.stderr


def test_hooks_that_answer_rubbish_are_reported_and_left_out(home: Home, plugin_folder, stub) -> None:
    plugin_folder.add(
        "acme-bad",
        HEAD
        + "@hookimpl(tryfirst=True)\ndef algo_default_profile(name):\n    return 42\n"
        + "@hookimpl(tryfirst=True)\ndef algo_credentials(profile):\n    return 'a key'\n"
        + "@hookimpl\ndef algo_error_hints(error):\n    return 42\n"
        + "@hookimpl\ndef algo_doctor_checks():\n    return [3]\n",
    )
    plugin_folder.add(
        "acme-odd",
        HEAD
        + "@hookimpl\ndef algo_doctor_checks():\n    return [DoctorCheck('odd', lambda: 3), DoctorCheck('none', None)]\n",
    )
    result = home.run("doctor", "--json")
    checks = {row["check"]: row["ok"] for row in result.json}
    assert checks["platform"], "the embedded platform stands in"
    assert (checks["odd"], checks["none"]) == (False, False)
    for hook in ("algo_default_profile", "algo_credentials", "algo_error_hints", "algo_doctor_checks"):
        assert result.stderr.count(f"acme-bad 1.0 failed in {hook}: TypeError") == 1, result.stderr
    assert "Traceback" not in result.stderr


def test_unknown_hooks_are_reported_not_fatal(home: Home, plugin_folder) -> None:
    plugin_folder.add("acme-new", HEAD + "@hookimpl\ndef algo_of_the_future():\n    pass\n")
    listed = {row["distribution"]: row for row in home.run("plugins", "list", "--json").json}
    assert listed["acme-new"]["status"] == "ok"
    assert "algo_of_the_future" in listed["acme-new"]["remarks"][0]


def test_two_plugins_with_one_command_both_are_named(home: Home, add_command) -> None:
    add_command("acme-a", "greet", "from a")
    add_command("acme-b", "greet", "from b")
    result = home.run("greet")
    assert result.code == ExitCode.USAGE
    assert "acme-a 1.0 and acme-b 1.0" in result.stderr
    assert "claimed by 2 plugins" in home.run("--help").text
    assert home.run("plugins", "run", "acme-a", "greet").text == "from a\n"
    assert home.run("plugins", "run", "acme-b", "greet").text == "from b\n"
    assert "Say something" in home.run("plugins", "run", "acme-b", "greet", "--help").text
    assert home.run("plugins", "choose", "greet", "acme-b").code == ExitCode.OK
    assert home.run("greet").text == "from b\n"
    assert "claimed by" not in home.run("--help").text
    home.config_file.unlink()
    assert home.run("plugins", "disable", "acme-a").code == ExitCode.OK
    assert home.run("greet").text == "from b\n"
    assert home.run("plugins", "enable", "acme-a").code == ExitCode.OK
    assert home.run("greet").code == ExitCode.USAGE
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
    assert result.code == ExitCode.NOT_FOUND
    assert "acme-bad 1.0" in result.stderr
    assert "colour" in result.stderr


def test_the_public_names_are_importable_and_lazy() -> None:
    code = (
        "import sys, algo_core; assert 'click' not in sys.modules; [getattr(algo_core, n) for n in algo_core.__all__]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_administrators_choice_between_commands_goes_before_the_users(home: Home, add_command) -> None:
    add_command("acme-a", "greet", "from a")
    add_command("acme-b", "greet", "from b")
    home.write_config('[plugins.commands]\ngreet = "acme-b"\n')
    (home.root / "site.toml").write_text('[plugins.commands]\ngreet = "acme-a"\n')
    assert home.run("greet").text == "from a\n"


def test_wrong_names_for_run_and_choose_are_explained(home: Home, add_command) -> None:
    add_command("acme-a", "greet")
    for arguments in (("run", "acme-x", "greet"), ("run", "acme-a", "nope"), ("choose", "nope", "acme-a")):
        result = home.run("plugins", *arguments)
        assert result.code == ExitCode.NOT_FOUND
        assert "See: algo plugins" in result.stderr


def test_trace_shows_each_hook_call(home: Home, plugin_folder) -> None:
    plugin_folder.add(
        "acme-hint",
        HEAD + "@hookimpl\ndef algo_error_hints(error):\n    return 'ask ' + error.message[:5]\n"
        "@hookimpl\ndef algo_doctor_checks():\n    raise ValueError('none today')\n",
    )
    result = home.run("plugins", "trace", "doctor")
    assert "acme-hint 1.0 algo_doctor_checks" in result.stderr
    assert "-> ValueError('none today')" in result.stderr
    assert "algo-local 1.0.0 algo_transport" in result.stderr


SITE = {
    "allow": '[plugins]\nallow = ["algo-*", "acme-good>=1"]\n',
    "deny": '[plugins]\ndeny = ["acme-bad<2"]\n',
}


@pytest.mark.parametrize("how", SITE)
def test_the_administrator_decides_what_loads(home: Home, plugin_folder, add_command, how: str) -> None:
    plugin_folder.add("acme-bad", f"open({str(home.root / 'loaded')!r}, 'w').close()\n" + HEAD + COMMANDS)
    add_command("acme-good", "good")
    (home.root / "site.toml").write_text(SITE[how])
    assert home.run("good").text == "hello\n"
    assert "acme  " not in home.run("--help").text
    listed = {row["distribution"]: row["status"] for row in home.run("plugins", "list", "--json").json}
    assert str(home.root / "site.toml") in listed["acme-bad"]
    assert not (home.root / "loaded").exists()
    (home.root / "site.toml").write_text("")
    home.run("--help")
    assert (home.root / "loaded").exists()


def test_a_version_bound_of_the_administrator_counts(home: Home, add_command) -> None:
    add_command("acme-good", "good")
    (home.root / "site.toml").write_text('[plugins]\nallow = ["acme-good>=2"]\n')
    assert home.run("good").code == ExitCode.USAGE
    (home.root / "site.toml").write_text('[plugins]\nallow = ["acme-good>=1,<2"]\n')
    assert home.run("good").code == ExitCode.OK


def test_what_is_required_and_missing_is_explained_before_anything_runs(home: Home, add_command) -> None:
    add_command("acme-good", "good")
    (home.root / "site.toml").write_text('[plugins]\nrequire = ["acme-bundle>=2"]\nhelp = "ask the help desk"\n')
    result = home.run("good")
    assert result.code == ExitCode.CONFIGURATION
    assert "acme-bundle>=2 is required by" in result.stderr
    assert "hint: ask the help desk" in result.stderr
    for arguments in (["--help"], ["config", "list"], ["plugins", "list"]):
        assert home.run(*arguments).code == ExitCode.OK
    add_command("acme-bundle", "bundle", version="2.1")
    assert home.run("good").code == ExitCode.OK


@pytest.mark.parametrize("how", ["setting", "variable", "flag"])
def test_what_is_required_cannot_be_left_out(home: Home, add_command, how: str) -> None:
    add_command("acme-good", "good")
    (home.root / "site.toml").write_text('[plugins]\nrequire = ["acme-good"]\n')
    flags = ["--no-plugin", "acme-good"] if how == "flag" else []
    if how == "setting":
        home.write_config('[plugins]\ndisabled = ["acme-good"]\n')
    environ = {"ALGO_DISABLE_PLUGINS": "acme-good"} if how == "variable" else {}
    assert home.run(*flags, "good", environ=environ).text == "hello\n"


@pytest.mark.parametrize("text", ["[plugins]\nallow = 3\n", "plugins = [", "[plugins]\nrequire = [3]\n"])
def test_an_administrators_file_that_cannot_be_read_lets_no_plugin_in(home: Home, add_command, text: str) -> None:
    add_command("acme-good", "good")
    (home.root / "site.toml").write_text(text)
    assert home.run("--help").code == ExitCode.OK
    result = home.run("good")
    assert (result.code, result.text) == (ExitCode.CONFIGURATION, "")
    assert str(home.root / "site.toml") in result.stderr


def test_a_plugin_that_never_gets_ready_is_broken_and_costs_its_time_once(
    home: Home, plugin_folder, add_command
) -> None:
    plugin_folder.add("acme-slow", "import time\ntime.sleep(600)\n")
    add_command("acme-good", "good")
    assert home.run("good").text == "hello\n"
    listed = {row["distribution"]: row for row in home.run("plugins", "list", "--json").json}
    assert listed["acme-slow"]["status"] == "broken: it was not ready after 5 s"
    assert listed["acme-slow"]["load_seconds"] >= 5


def test_debug_shows_where_a_plugin_broke(home: Home, plugin_folder, add_command) -> None:
    package = add_command("acme-bad", "acme")
    home.run("--help")
    (package / "plugin.py").write_text("def deep():\n    return 1 / 0\ndeep()\n")
    result = home.run("--debug", "acme")
    assert "in deep" in result.stderr
    assert "ZeroDivisionError" in result.stderr


def test_executables_on_the_path_are_subcommands(home: Home, tmp_path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    tool = tools / "algo-hi"
    tool.write_text('#!/bin/sh\necho "hi $* from $ALGO_PROFILE"\nexit 7\n')
    tool.chmod(0o755)
    home.environ["PATH"] = f"{tools}:{home.environ['PATH']}"
    result = home.run("--profile", "work", "hi", "--json", "there", "-x")
    assert (result.code, result.text) == (ExitCode.PLATFORM, "hi --json there -x from work\n")
    (tools / "algo-auth").symlink_to(tool)
    assert home.run("auth", "--help").code == ExitCode.OK
    tool.chmod(0o644)
    assert home.run("hi").code == ExitCode.USAGE


@pytest.mark.parametrize("scheme", ["data", "file"])
def test_reserved_schemes_are_not_given_away(home: Home, plugin_folder, tmp_path, scheme: str) -> None:
    plugin_folder.add(
        "acme-thief",
        HEAD + f"@hookimpl\ndef algo_connectors():\n    return [Connector({scheme!r}, 'acme_thief.x:y', 'Mine.'),\n"
        "            Connector('acme', 'acme_thief.x:y', 'Mine.')]\n",
    )
    (tmp_path / "f").write_text("content")
    assert home.run("cat", str(tmp_path / "f")).text == "content"
    assert home.run("ls", "data://.my").code == ExitCode.OK
    row = next(row for row in home.run("plugins", "list", "--json").json if row["distribution"] == "acme-thief")
    assert row["connectors"] == ["acme"]
    assert row["remarks"] == [f"claims {scheme}://, which is reserved for algo-data, and does not get it"]


def test_a_scheme_of_a_plugin_that_broke_says_so(home: Home, plugin_folder) -> None:
    source = HEAD + "@hookimpl\ndef algo_connectors():\n    return [Connector('acme', 'acme_store.x:y', 'Mine.')]\n"
    package = plugin_folder.add("acme-store", source)
    home.run("--help")
    (package / "plugin.py").write_text("import no_such_module\n")
    result = home.run("ls", "acme://x")
    assert result.code == ExitCode.PLUGIN
    assert "The plugin acme-store 1.0 is broken" in result.stderr


UNEXPECTED = """
import click
from algo_core import pass_app

@click.command()
@pass_app
def run(app):
    '''Fail.'''
    {body}
"""


@pytest.mark.parametrize(
    ("body", "whose"),
    [
        ("import json; json.loads(3)", "The plugin acme-bad 1.0 failed unexpectedly"),
        ("import urllib.parse; urllib.parse.urlsplit(3)", "The plugin acme-bad 1.0 failed unexpectedly"),
        ("app.output.table(3, 4)", "The plugin acme-bad 1.0 failed unexpectedly"),
    ],
)
def test_an_unexpected_failure_is_that_of_the_plugin_that_asked(
    home: Home, plugin_folder, add_command, body: str, whose: str
) -> None:
    package = add_command("acme-bad", "acme")
    (package / "commands.py").write_text(UNEXPECTED.format(body=body))
    result = home.run("acme")
    assert result.code == ExitCode.PLUGIN
    assert whose in result.stderr


def test_what_is_broken_is_mentioned_where_it_may_be_the_cause(home: Home, plugin_folder, stub) -> None:
    plugin_folder.add("acme-login", "import no_such_module\n")
    home.write_config(f'[profiles.default]\naddress = "{stub.address}"\n')
    home.run("--help")
    result = home.run("ls")
    assert result.code == ExitCode.AUTHENTICATION
    assert "acme-login 1.0 is broken" in result.stderr
    assert "`algo plugins show acme-login`" in result.stderr
    assert "acme-login" not in home.run("ls", "--nonsense").stderr


def test_who_is_asked_first_does_not_depend_on_which_hooks_were_called_before(home: Home, plugin_folder) -> None:
    """A plugin that has been loaded for another hook came last of all that say `trylast`, and first of the others."""
    for dist in ("acme-a", "acme-b"):
        plugin_folder.add(
            dist,
            HEAD + "from algo_core.settings.credentials import classify\n"
            "@hookimpl(trylast=True)\ndef algo_credentials(profile):\n"
            f"    return classify('sim' + 'k' * 25, origin='{dist}')\n"
            + ("@hookimpl\ndef algo_variables():\n    return []\n" if dist == "acme-a" else ""),
        )
    code = (
        "import os, sys\nfrom algo_core.context import App\n"
        "for hooks in ([], ['algo_variables'], ['algo_doctor_checks', 'algo_variables']):\n"
        "    plugins = App(os.environ).plugins\n"
        "    for hook in hooks:\n        plugins.call(hook)\n"
        "    sys.stdout.write(plugins.first('algo_credentials', profile=None, refused=None).origin + '\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=home.environ, capture_output=True, text=True, check=True)
    assert len(set(done.stdout.splitlines())) == 1, done.stdout


@pytest.mark.parametrize(
    ("ranks", "wanted"),
    [
        (("", ""), None),
        (("trylast=True", "trylast=True"), "https://acme-a.example"),
        (("tryfirst=True", "tryfirst=True"), None),
        (("", "trylast=True"), "https://acme-a.example"),
        (("trylast=True", ""), "https://acme-b.example"),
        (("", "tryfirst=True"), "https://acme-b.example"),
    ],
)
def test_two_plugins_that_give_a_default_profile_are_named(
    home: Home, plugin_folder, ranks: tuple[str, str], wanted: str | None
) -> None:
    for dist, rank in zip(("acme-a", "acme-b"), ranks, strict=True):
        plugin_folder.add(
            dist,
            HEAD + f"@hookimpl({rank})\ndef algo_default_profile(name):\n"
            f"    return Profile(name, 'https://{dist}.example') if name == 'default' else None\n",
        )
    shown = home.run("profile", "show", "--json")
    if wanted:
        assert (shown.code, shown.json["address"]) == (ExitCode.OK, wanted)
        return
    assert shown.code == ExitCode.CONFIGURATION
    assert "acme-a 1.0 and acme-b 1.0 answer algo_default_profile differently" in shown.stderr
    assert "algo plugins disable acme-b" in shown.stderr
    assert home.run("plugins", "disable", "acme-b").code == ExitCode.OK
    assert home.run("profile", "show", "--json").json["address"] == "https://acme-a.example"
