"""The bundle, as people meet it: through the real `algo`, in a home of its own."""

from __future__ import annotations

from pathlib import Path

from algo_core.testing import Home, assert_plugin_well_formed

from acme_company.plugin import ADDRESS, TABLE

KEY = "sim" + "k" * 25


def test_it_is_well_formed() -> None:
    assert_plugin_well_formed("acme-company")


def test_the_companys_platform_is_the_default(algo_home: Home) -> None:
    shown = algo_home.run("profile", "show", "--json").json
    assert (shown["address"], shown["origin"]) == (ADDRESS, "acme-company")
    assert shown["credential"] is None


def test_people_can_configure_another_platform(algo_home: Home) -> None:
    algo_home.write_config('[profiles.default]\naddress = "https://other.example"\n')
    assert algo_home.run("profile", "show", "--json").json["address"] == "https://other.example"


def test_the_logins_token_goes_to_the_companys_platform_only(algo_home: Home, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(KEY)
    assert algo_home.run("config", "set", f"{TABLE}.token_file", file).code == 0
    assert algo_home.run("profile", "show", "--json").json["credential_origin"] == str(file)
    other = '[profiles.default]\naddress = "https://other.example"\n'
    algo_home.write_config(f'{other}["{TABLE}"]\ntoken_file = "{file}"\n')
    assert algo_home.run("profile", "show", "--json").json["credential"] is None


def test_an_administrator_moves_the_platform(algo_home: Home) -> None:
    algo_home.write_site_config(f'["{TABLE}"]\naddress = "https://moved.example"\n')
    assert algo_home.run("profile", "show", "--json").json["address"] == "https://moved.example"
