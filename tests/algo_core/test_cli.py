"""The command group, as a person meets it."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from algo_core.cli import write_rows
from algo_core.errors import ExitCode
from algo_core.testing import Home

KEY, OTHER_KEY = "sim" + "k" * 25, "sim" + "o" * 25


@pytest.fixture
def home(algo_home: Home, plugin_folder) -> Home:
    """A home in which plugins made on the spot are installed; its index is its own."""
    algo_home.environ["PYTHONPATH"] = str(plugin_folder.path)
    algo_home.environ["ALGO_CACHE_DIR"] = str(algo_home.root / "cache")
    return algo_home


def test_help_and_version(algo_home: Home) -> None:
    from algo_core import __version__

    assert algo_home.run("--version").text == f"algo {__version__}\n"
    assert algo_home.run("--quiet", "--version").text == f"algo {__version__}\n"
    text = algo_home.run("--help").text
    assert algo_home.run("-h").text == text
    assert algo_home.run().text == text
    assert algo_home.run("help").text.startswith(text)


def test_python_m_is_the_same_command(algo_home: Home) -> None:
    for arguments in (["--version"], ["--help"], ["nope"]):
        done = subprocess.run(
            [sys.executable, "-m", "algo_core", *arguments], capture_output=True, env=algo_home.environ
        )
        mine = algo_home.run(*arguments)
        assert (done.returncode, done.stdout, done.stderr.decode()) == (mine.code, mine.stdout, mine.stderr)


def test_a_core_without_plugins_still_answers(algo_home: Home) -> None:
    text = algo_home.run("--no-plugins", "--help").text
    for name in ("auth", "profile", "config", "plugins", "doctor", "completion", "help"):
        assert f"\n  {name} " in text
    for name in ("run", "cp", "languages", "local"):
        assert f"\n  {name} " not in text
    assert algo_home.run("--no-plugins", "config", "list").code == ExitCode.OK
    assert algo_home.run("--no-plugins", "plugins", "list").code == ExitCode.OK


def test_a_plugins_command_is_listed_and_runs(home: Home, add_command) -> None:
    add_command("acme-greet", "greet")
    text = home.run("--help").text
    assert "Acme:\n  greet" in text
    assert home.run("greet").text == "hello\n"
    assert "Say something." in home.run("greet", "--help").text
    assert "Say something." in home.run("help", "greet").text


def test_the_profile_option_works_before_and_after_every_command(home: Home, plugin_folder) -> None:
    plugin_folder.add(
        "acme-who",
        "from algo_core import Command, hookimpl\n@hookimpl\ndef algo_commands():\n"
        "    return [Command('who', 'acme_who.commands:who', 'Who.'), Command('deep', 'acme_who.commands:deep', 'Deep.')]\n",
        commands="import click\nfrom algo_core import pass_app\n"
        "@click.command()\n@pass_app\ndef who(app):\n    app.output.print(app.profile.name)\n"
        "@click.group()\ndef deep():\n    pass\ndeep.add_command(who)\n",
    )
    home.write_config("".join(f'[profiles.{n}]\naddress = "https://{n}.example"\napi_key = "{KEY}"\n' for n in "ab"))
    for arguments in (
        ("--profile", "a", "who"),
        ("who", "--profile", "a"),
        ("--profile", "b", "who", "--profile", "a"),
        ("deep", "who", "--profile", "a"),
        ("deep", "--profile", "a", "who"),
        ("--profile=a", "deep", "who"),
    ):
        assert home.run(*arguments).text == "a\n", arguments
    for built_in in (("profile", "show", "--json"), ("config", "get", "profile", "--json")):
        assert "b" in home.run(*built_in, "--profile", "b").text


def test_global_options_give_way_to_a_commands_own(home: Home, plugin_folder) -> None:
    plugin_folder.add(
        "acme-own",
        "from algo_core import Command, hookimpl\n@hookimpl\ndef algo_commands():\n"
        "    return [Command('own', 'acme_own.commands:own', 'Own.')]\n",
        commands="import click\nfrom algo_core import pass_app\n"
        "@click.command()\n@click.option('-q', 'queue')\n@click.option('--debug', is_flag=True, help='Mine.')\n@pass_app\n"
        "def own(app, queue, debug):\n    app.output.print(f'{queue} {debug} {app.debug} {app.output.quiet}')\n",
    )
    assert home.run("own", "-q", "7", "--debug", "--quiet").text == "7 True False True\n"
    assert home.run("--debug", "own").text == "None False True False\n"
    text = home.run("own", "--help").text
    assert text.count("--debug") == 1
    assert "Mine." in text


def test_unknown_commands_and_options_are_explained(algo_home: Home) -> None:
    result = algo_home.run("halp")
    assert (result.code, result.text) == (ExitCode.USAGE, "")
    assert "There is no command 'halp'" in result.stderr
    assert "help" in result.stderr.splitlines()[1]
    result = algo_home.run("config", "nope")
    assert result.code == ExitCode.USAGE
    assert "algo config --help" in result.stderr
    result = algo_home.run("--nope")
    assert result.code == ExitCode.USAGE
    assert "Traceback" not in result.stderr


def test_errors_as_json(algo_home: Home) -> None:
    result = algo_home.run("profile", "show", "nope", "--json")
    assert result.code == ExitCode.CONFIGURATION
    assert result.text == ""
    assert result.error["type"] == "ConfigError"
    assert "nope" in result.error["message"]
    assert "algo auth" in result.error["hint"]
    assert algo_home.run("--json", "nope").error["type"] == "UsageError"


def test_help_topics(algo_home: Home) -> None:
    from algo_core.errors import EXIT_CODES

    text = algo_home.run("help", "exit-codes").text
    for code, meaning in EXIT_CODES.items():
        assert f"{code}  {meaning}" in text
    assert "ALGORITHMIA_API_KEY" in algo_home.run("help", "variables").text
    assert "data://" in algo_home.run("help", "uris").text
    assert algo_home.run("help", "nope").code == ExitCode.USAGE
    assert "Usage: algo config set" in algo_home.run("help", "config", "set").text


def test_every_setting_and_variable_is_in_the_help(algo_home: Home) -> None:
    from algo_core.settings.config import SETTINGS

    text = algo_home.run("help", "variables").text
    for setting in SETTINGS.values():
        assert setting.variable is None or setting.variable in text


def test_what_others_write_cannot_command_the_terminal(algo_home: Home, stub, on_terminal) -> None:
    stub.on("GET", "/v1/data/", stub.json_answer({"error": {"message": "\x1b]0;evil\x07gone"}}, 404))
    algo_home.write_config(f'[profiles.default]\naddress = "{stub.address}"\napi_key = "{KEY}"\n')
    code, text = on_terminal(algo_home, "auth", "--no-test", "--api-address", "x\x1b[31my")
    assert code == ExitCode.USAGE
    assert "\x1b[31m" not in text
    code, text = on_terminal(algo_home, "ls")
    assert code == ExitCode.NOT_FOUND
    assert "\x1b]0" not in text
    assert "gone" in text


@pytest.fixture
def failing(home: Home, plugin_folder) -> Home:
    plugin_folder.add(
        "acme-fail",
        "from algo_core import Command, hookimpl\n@hookimpl\ndef algo_commands():\n"
        "    return [Command(n, f'acme_fail.commands:{n}', n) for n in ('crash', 'stdout', 'wait', 'oserror', 'leave')]\n",
        commands="import click, sys, time\nfrom algo_core import pass_app\n"
        "@click.command()\ndef crash():\n    raise ValueError('boom')\n"
        "@click.command()\n@pass_app\ndef stdout(app):\n    for i in range(200000): app.output.print(str(i))\n"
        "@click.command()\n@pass_app\ndef wait(app):\n    app.output.info('waiting')\n    time.sleep(60)\n"
        "@click.command()\ndef oserror():\n    open('/no/such/file')\n"
        "@click.command()\n@click.pass_context\ndef leave(ctx):\n    ctx.exit(42)\n",
    )
    return home


def test_an_exception_in_a_plugins_command_is_no_traceback(failing: Home) -> None:
    result = failing.run("crash")
    assert result.code == ExitCode.PLUGIN
    assert "The plugin acme-fail 1.0 failed unexpectedly: ValueError: boom" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in failing.run("--debug", "crash").stderr
    assert failing.run("crash", "--json").error["type"] == "PluginError"
    assert failing.run("oserror").code == ExitCode.NOT_FOUND
    assert failing.run("leave").code == 42


def test_a_closed_pipe_is_not_an_error_message(failing: Home) -> None:
    command = " ".join(failing.command("stdout")) + " | head -1; exit ${PIPESTATUS[0]}"
    done = subprocess.run(["bash", "-c", command], env=failing.environ, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.BROKEN_PIPE, b"0\n", b"")


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED), (signal.SIGHUP, ExitCode.HUNG_UP)],
)
def test_signals_end_a_command_cleanly(failing: Home, number: signal.Signals, code: int) -> None:
    process = subprocess.Popen(failing.command("wait"), env=failing.environ, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    assert process.stderr.readline() == "waiting\n"
    process.send_signal(number)
    assert process.stderr.read() == "\nInterrupted\n"
    assert process.wait(60) == code


def complete(home: Home, words: str, shell: str = "bash") -> list[str]:
    environ = {
        **home.environ,
        "_ALGO_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = subprocess.run(home.command(), env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_completion(home: Home, add_command) -> None:
    add_command("acme-greet", "greet")
    assert complete(home, "algo gre") == ["greet"]
    assert set(complete(home, "algo ")) >= {"auth", "config", "greet"}
    assert "--profile" in complete(home, "algo --pro")
    assert complete(home, "algo greet --pro") == ["--profile"]
    home.write_config('[profiles.work]\naddress = "https://x.example"\n')
    assert complete(home, "algo --profile w") == ["work"]
    assert home.complete("--profile=w") == ["--profile=work"]
    asked = {"_ALGO_COMPLETE": "bash"}
    assert home.run("algo --profile=w", "w", environ=asked).text == "plain\0work\0"
    assert home.run("algo '--profile=w", "--profile=w", environ=asked).text == "plain\0'--profile=work'\0"
    assert complete(home, "algo config get time") == ["timeout"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(algo_home: Home, shell: str) -> None:
    result = algo_home.run("completion", shell)
    assert result.code == ExitCode.OK
    assert "_ALGO_COMPLETE" in result.text
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=result.stdout, check=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is not there")
@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_stdout_that_cannot_be_written(algo_home: Home, option: str, unbuffered: str) -> None:
    environ = {**algo_home.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(algo_home.command(option), env=environ, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (ExitCode.FAILURE, b"error: No space left on device\n")


@pytest.mark.parametrize("words", ["--version", "--help", "config list"])
@pytest.mark.parametrize("others", ["", "<&-"])
def test_results_that_cannot_be_written_are_a_failure(algo_home: Home, words: str, others: str) -> None:
    command = f"{algo_home.command()[0]} {words} {others} >&-"
    done = subprocess.run(["bash", "-c", command], env=algo_home.environ, capture_output=True)
    assert (done.returncode, done.stderr) == (ExitCode.FAILURE, b"error: Standard output is closed\n")
    done = subprocess.run(["bash", "-c", f"{command} 2>&-"], env=algo_home.environ, capture_output=True)
    assert done.returncode == ExitCode.FAILURE


def test_a_command_without_results_needs_no_standard_output(failing: Home) -> None:
    words = " ".join(failing.command("config", "set", "retries", "3"))
    done = subprocess.run(["bash", "-c", f"{words} >&-"], env=failing.environ, capture_output=True)
    assert (done.returncode, done.stderr) == (ExitCode.OK, b"")


@pytest.mark.parametrize("stream", ["<&-", "2>&-", "<&- 2>&-"])
def test_streams_that_are_closed_are_no_reason_to_fail(algo_home: Home, stream: str) -> None:
    for words in ("--version", "--help", "config list"):
        command = f"{algo_home.command()[0]} {words} {stream}"
        done = subprocess.run(["bash", "-c", command], env=algo_home.environ, capture_output=True)
        assert (done.returncode, done.stderr) == (ExitCode.OK, b"")


WRONG = (
    ("nope", "--json"),
    ("--json", "nope"),
    ("--nope", "--json"),
    ("--nope", "ls", "--json"),
    ("ls", "--nope", "--json"),
    ("ls", "--json=yes"),
    ("cp", "--json"),
    ("cp", "a", "--jobs", "many", "b", "--json"),
    ("run", "--timeout", "--json"),
    ("run", "demo/Hello", "-d", "x", "more", "--json"),
    ("config", "nope", "--json"),
    ("config", "get", "--json"),
    ("config", "get", "nope", "--json"),
    ("profile", "show", "a", "b", "--json"),
    ("local", "serve", "--port", "abc", "--json"),
    ("help", "nope", "--json"),
)


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_a_wrong_command_line_is_answered_as_json_wherever_json_stands(algo_home: Home, words: tuple[str, ...]) -> None:
    result = algo_home.run(*words)
    lines = result.stderr.splitlines()
    assert (result.code, result.text) == (ExitCode.USAGE, ""), result
    assert all(isinstance(json.loads(line), dict) for line in lines), result.stderr
    assert result.error["type"] == "UsageError"


def test_every_command_does_so(algo_home: Home) -> None:
    names = [
        line.split()[0] for line in algo_home.run("--help").text.splitlines() if re.match(r"  [a-z]+ +[A-Z]", line)
    ]
    assert len(names) > 20
    for name in names:
        result = algo_home.run(name, "--no-such-option", "--json")
        assert result.code == ExitCode.USAGE, (name, result)
        assert result.error["type"] == "UsageError", name


def test_json_that_is_no_option_is_none(algo_home: Home) -> None:
    assert algo_home.run("run", "demo/Hello", "-d", "--json").text == "Hello --json\n"
    assert algo_home.run("ls", "--", "--json").stderr.splitlines()[-1].startswith(("error: ", "hint: "))
    assert algo_home.run("run", "demo/Hello", "-d", "--json", "-d", "x").code == ExitCode.USAGE


@pytest.mark.parametrize("group", ["config", "plugins", "profile", "local", "local key", "requests", "algorithms"])
def test_a_group_without_a_command_shows_its_help_as_it_is(algo_home: Home, group: str) -> None:
    shown = algo_home.run(*group.split())
    assert (shown.code, shown.text) == (ExitCode.USAGE, "")
    assert shown.stderr.startswith(f"Usage: algo {group} [OPTIONS] COMMAND [ARGS]...\n")
    assert "error:" not in shown.stderr
    assert "hint:" not in shown.stderr
    refused = algo_home.run(*group.split(), "--json")
    assert (refused.code, json.loads(refused.stderr)["error"]["type"]) == (ExitCode.USAGE, "UsageError")


@pytest.mark.parametrize("width", [20, 38, 60, 80, 120])
@pytest.mark.parametrize("column", [1, 29, 30, 31, 45])
def test_commands_are_listed_as_click_would(width: int, column: int) -> None:
    words = "word " * 30
    texts = [
        "",
        " ",
        " x",
        "x ",
        "a  b",
        "tab\there",
        "é b",
        "\x1b[1mred",
        words,
        words.strip(),
        "w" * 100,
        "日本 text",
    ]
    texts += [words[:length].strip() for length in range(1, 100, 3)]
    rows = [("name".ljust(column)[:column], text) for text in texts] + [("é".ljust(column), "text")]
    ours, clicks = click.HelpFormatter(width=width), click.HelpFormatter(width=width)
    for formatter in (ours, clicks):
        formatter.indent()
    write_rows(ours, rows)
    clicks.write_dl(rows)
    assert ours.getvalue() == clicks.getvalue()
