"""What the administrator decides, and nobody else: values, and which plugins load."""

from __future__ import annotations

from typing import Any

import pytest
from acme_servers import Gateway

from algo_core.errors import ExitCode
from algo_core.testing import Home


@pytest.fixture
def enforced(jane: Home, acme_table: str, gateway: Gateway, company_ca: Any) -> dict[str, Any]:
    """Values that the administrator enforces at Acme."""
    values = {"address": gateway.address, "ca_cert": str(company_ca[1]), "timeout": 33.0, "retries": 1}
    lines = [f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}" for name, value in values.items()]
    jane.write_site_config(acme_table + "[enforce]\n" + "\n".join(lines) + "\n")
    return values


ELSEWHERE = """
timeout = 5
retries = 9
[profiles.default]
address = "https://elsewhere.example"
ca_cert = "/tmp/elsewhere.pem"
timeout = 7
"""


@pytest.mark.parametrize("attempt", ["nothing", "the user's file", "the environment", "a profile of their own"])
def test_nobody_gets_past_what_is_enforced(
    jane: Home, enforced: dict[str, Any], gateway: Gateway, attempt: str
) -> None:
    flags, environ = [], {}
    if attempt == "the environment":
        environ = {
            "ALGORITHMIA_API": "https://elsewhere.example",
            "ALGORITHMIA_API_KEY": "sim" + "k" * 25,
            "ALGO_TIMEOUT": "5",
            "ALGO_RETRIES": "9",
        }
    elif attempt != "nothing":
        jane.write_config(ELSEWHERE.replace("default", "mine") if "own" in attempt else ELSEWHERE)
        flags = ["--profile", "mine"] if "own" in attempt else []
    rows = {row["key"]: row for row in jane.run(*flags, "config", "list", "--json", environ=environ).json}
    origin = f"enforced by {jane.site_file}"
    assert {name: (rows[name]["value"], rows[name]["origin"]) for name in enforced} == {
        name: (value, origin) for name, value in enforced.items()
    }


def test_where_values_come_from_is_shown(jane: Home, enforced: dict[str, Any]) -> None:
    lines = jane.run("config", "list", "--origin").text.splitlines()
    found = {line.split()[0]: line for line in lines}
    for name in enforced:
        assert found[name].endswith(f"enforced by {jane.site_file}")
    assert found["connect_timeout"].endswith("default")


def test_what_is_enforced_cannot_be_set_by_command_or_flag(jane: Home, enforced: dict[str, Any]) -> None:
    result = jane.run("config", "set", "timeout", "5")
    assert result.code == ExitCode.CONFIGURATION
    assert f"timeout cannot be changed: enforced by {jane.site_file}" in result.stderr
    assert not jane.config_file.exists()
    other = jane.run(
        "auth", "--api-address", "https://elsewhere.example", "--api-key-stdin", "--no-test", input="sim" + "k" * 25
    )
    assert other.code == ExitCode.USAGE
    assert not jane.config_file.exists()


def test_an_enforced_profile_cannot_be_left(jane: Home, acme_table: str) -> None:
    jane.write_site_config(acme_table + '[enforce]\nprofile = "acme"\n')
    jane.write_config('[profiles.mine]\naddress = "https://elsewhere.example"\n')
    assert jane.run("profile", "show", "--json").json["name"] == "acme"
    assert jane.run("profile", "show", "--json", environ={"ALGO_PROFILE": "mine"}).json["name"] == "acme"
    assert jane.run("--profile", "mine", "ls").code == ExitCode.USAGE
    assert jane.run("profile", "use", "mine").code == ExitCode.CONFIGURATION


def statuses(home: Home) -> dict[str, str]:
    return {row["distribution"]: row["status"] for row in home.run("plugins", "list", "--json").json}


def test_only_what_is_allowed_loads(jane: Home, acme_table: str) -> None:
    jane.write_site_config(acme_table + '[plugins]\nallow = ["acme-*", "algo-data", "algo-run<1"]\n')
    found = statuses(jane)
    assert (found["acme-bundle"], found["algo-data"]) == ("ok", "ok")
    assert found["algo-env"] == found["algo-run"] == f"not allowed by {jane.site_file}"
    assert jane.run("ls").code == ExitCode.OK
    assert jane.run("languages").code == ExitCode.USAGE
    jane.write_config('[plugins]\nallow = ["*"]\n')
    refused = jane.run("languages")
    assert (refused.code, refused.text) == (ExitCode.CONFIGURATION, "")
    assert "plugins.allow belongs in the administrator's file" in refused.stderr


def test_what_is_denied_does_not_load(jane: Home, acme_table: str) -> None:
    jane.write_site_config(acme_table + '[plugins]\ndeny = ["acme-bundle<3"]\n')
    assert statuses(jane)["acme-bundle"] == f"denied by {jane.site_file}"
    result = jane.run("ls", "acme://")
    assert result.code == ExitCode.USAGE
    assert "No connector is installed for acme://" in result.stderr


@pytest.mark.parametrize("how", ["a flag", "all", "the environment", "the user's file"])
def test_what_is_required_takes_part_whatever_people_do(jane: Home, acme_table: str, how: str) -> None:
    jane.write_site_config(acme_table + '[plugins]\nrequire = ["acme-bundle>=2"]\nhelp = "pip install acme-bundle"\n')
    flags = {"a flag": ["--no-plugin", "acme-bundle"], "all": ["--no-plugins"]}.get(how, [])
    environ = {"ALGO_DISABLE_PLUGINS": "acme-bundle"} if how == "the environment" else {}
    if how == "the user's file":
        jane.write_config('[plugins]\ndisabled = ["acme-bundle"]\n')
    result = jane.run(*flags, "ls", "acme://", environ=environ)
    # Without any plugin there is no command that could do without this one.
    assert result.code == (ExitCode.USAGE if how == "all" else ExitCode.OK)


def test_a_required_version_that_is_missing_is_explained(jane: Home, acme_table: str) -> None:
    jane.write_site_config(acme_table + '[plugins]\nrequire = ["acme-bundle>=3"]\nhelp = "pip install acme-bundle"\n')
    result = jane.run("ls")
    assert result.code == ExitCode.CONFIGURATION
    assert f"The plugin acme-bundle>=3 is required by {jane.site_file}" in result.stderr
    assert "hint: pip install acme-bundle" in result.stderr
    assert jane.run("config", "list").code == ExitCode.OK
