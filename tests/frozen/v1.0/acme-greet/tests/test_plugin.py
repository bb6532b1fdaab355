"""The plugin, as people meet it: through the real `algo`, in a home of its own."""

from algo_core.testing import Home, assert_plugin_well_formed

COMMAND = "acme-greet"


def test_it_is_well_formed() -> None:
    assert_plugin_well_formed("acme-greet")


def test_it_is_listed(algo_home: Home) -> None:
    listed = algo_home.run("--help").text
    assert COMMAND in listed
    assert "Greet somebody." in listed


def test_it_greets(algo_home: Home) -> None:
    result = algo_home.run(COMMAND, "World")
    assert (result.code, result.text, result.stderr) == (0, "Hello World\n", "")


def test_its_options_are_explained_together(algo_home: Home) -> None:
    assert "Greeting:" in algo_home.run(COMMAND, "--help").text
    result = algo_home.run(COMMAND, "World", "--greeting", "Welcome", "--shout")
    assert result.text == "WELCOME WORLD\n"


def test_it_answers_in_json(algo_home: Home) -> None:
    result = algo_home.run(COMMAND, "World", "--json")
    assert result.json == {"name": "World", "text": "Hello World"}


def test_a_missing_name_is_a_usage_error(algo_home: Home) -> None:
    result = algo_home.run(COMMAND, "--json")
    assert (result.code, result.error["type"]) == (2, "UsageError")


def test_the_doctor_knows_it(algo_home: Home) -> None:
    checks = {row["check"]: row for row in algo_home.run("doctor", "--json").json}
    assert checks["acme-greet"]["ok"]
