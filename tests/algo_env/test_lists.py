"""`algo languages` and `algo environment`: the documented texts, JSON for programs, a table for people."""

import json
import subprocess

import pytest

from algo_core.errors import ExitCode

ROOT = "/v1/algorithm-environments/edge"
TABLE = """\
Name                      Display Name
java11                    Java OpenJDK 11.0 (Environments)
python2                   Python 2.x (Environments)
python3                   Python 3.x (Environments)
"""


def test_languages_are_the_documented_table(home, environments, on_terminal) -> None:
    assert home.run("languages").text == TABLE
    assert on_terminal(home, "languages") == (0, TABLE)
    assert environments.paths == ["/languages"] * 2


def test_languages_as_json_are_the_servers_array(home, environments) -> None:
    found = home.run("languages", "--json").json
    assert [set(language) for language in found] == [{"name", "display_name", "configuration"}] * 3


def test_the_profile_is_used(algo_home, environments) -> None:
    address = environments.stub.address
    algo_home.write_config(f'[profiles.second_profile]\naddress = "{address}"\napi_key = "sim{"o" * 25}"\n')
    assert algo_home.run("languages", "--profile", "second_profile").text == TABLE
    assert environments.stub.seen[0].headers["Authorization"] == "Simple sim" + "o" * 25


def test_an_environment_is_found_with_grep_as_documented(home, environments) -> None:
    line = f'{home.command()[0]} environment python3 | grep -iC4 -e "tensorflow 2"'
    done = subprocess.run(["sh", "-c", line], env=home.environ, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.OK, done.stderr
    assert '        "environment_specification_id": "36fd467e-fbfe-4ea6-aa66-df3f403b7132"' in done.stdout
    assert "Generic Python" not in done.stdout


def test_environments_are_json_when_piped(home, environments) -> None:
    done = home.run("environment", "python3")
    assert [found["display_name"] for found in done.json] == ["Python 3.8 + TensorFlow GPU 2.3", "Python 3.8"]
    assert done.text.startswith('[\n    {\n        "id": ')
    assert "größer" in done.text
    assert done.json == home.run("environment", "python3", "--json").json


def test_environments_are_a_table_for_people(home, environments, on_terminal) -> None:
    code, shown = on_terminal(home, "environment", "python3")
    assert code == ExitCode.OK
    assert shown.splitlines() == [
        "Environment                      Machine  Specification id (for 'algo template')  Environment id",
        "Python 3.8 + TensorFlow GPU 2.3  GPU      36fd467e-fbfe-4ea6-aa66-df3f403b7132    "
        "fd980f4f-1f1c-4b2f-a128-d60b40c6567a",
        "Python 3.8                       CPU      b2222222-fbfe-4ea6-aa66-df3f403b7132    "
        "a1111111-1f1c-4b2f-a128-d60b40c6567a",
    ]
    code, shown = on_terminal(home, "environment", "python3", "--json")
    assert [found["machine_type"] for found in json.loads(shown)] == ["GPU", "CPU"]


def test_a_bare_array_of_environments_is_understood(home, environments) -> None:
    environments.environments("python3", environments.json_answer([{"display_name": "Python 3.8"}]))
    assert home.run("environment", "python3").json == [{"display_name": "Python 3.8"}]


def test_a_language_without_environments_is_no_error(home, environments) -> None:
    assert home.run("environment", "python2").text == "[]\n"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error": {"code": 4001, "message": "unknown language"}}),
        (200, {"error": {"code": 4001, "message": "unknown language"}}),
        (200, {"error": "unknown language"}),
        (400, {"error": {"code": 4001, "message": "unknown language"}}),
        (200, {"environments": []}),
        (200, []),
    ],
)
def test_an_unknown_language_fails_and_those_there_are_are_named(home, environments, status, body) -> None:
    environments.environments("cobol", environments.json_answer(body, status))
    done = home.run("environment", "cobol")
    assert (done.code, done.stdout) == (ExitCode.NOT_FOUND, b"")
    assert "no language 'cobol'" in done.stderr
    assert "java11, python2, python3; see: algo languages" in done.stderr


@pytest.mark.parametrize("language", ["", ".", "..", "../../data", "python3/environments"])
def test_a_language_cannot_lead_to_another_route(home, environments, language) -> None:
    done = home.run("environment", language)
    assert done.code == ExitCode.NOT_FOUND
    assert environments.paths == ["/languages"]


def test_an_error_for_a_language_that_exists_is_shown_as_it_is(home, environments) -> None:
    environments.environments("python3", environments.json_answer({"error": {"message": "not today"}}))
    done = home.run("environment", "python3")
    assert (done.code, done.stdout) == (ExitCode.FAILURE, b"")
    assert "error: not today" in done.stderr


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, b'{"error": {"message": "authorization required"}}', ExitCode.AUTHENTICATION),
        (200, b'{"error": {"message": "authorization required"}}', ExitCode.AUTHENTICATION),
        (500, b"", ExitCode.PLATFORM),
        (200, b"<html></html>", ExitCode.PLATFORM),
        (200, b"{}", ExitCode.PLATFORM),
        (200, b'["python3"]', ExitCode.PLATFORM),
        (200, b'[{"id": "no name"}]', ExitCode.PLATFORM),
        (200, b"null", ExitCode.PLATFORM),
    ],
)
def test_errors_fail(home, environments, status, body, code) -> None:
    answer = environments.answer(status, body, {"Content-Type": "application/json"})
    environments.languages(answer)
    environments.environments("python3", answer)
    for words in (["languages"], ["environment", "python3"]):
        done = home.run(*words, environ={"ALGO_RETRIES": "0"})
        assert (done.code, done.stdout) == (code, b"")
        assert "Traceback" not in done.stderr


def test_lists_are_asked_for_again_when_the_platform_stumbles(home, environments) -> None:
    environments.languages(environments.answer(503), environments.json_answer([]))
    assert home.run("languages").text == "Name                      Display Name\n"
    assert len(environments.paths) == 2


def test_tab_completes_languages(home, environments) -> None:
    environ = {"_ALGO_COMPLETE": "bash_complete", "COMP_WORDS": "algo environment py", "COMP_CWORD": "2"}
    assert home.run(environ=environ).text.split() == ["plain,python2", "plain,python3"]
    environments.stub.close()
    done = home.run(environ=environ)
    assert (done.text.strip(), done.stderr) == ("", "")
