"""The bundle, as people at Acme meet it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import acme_bundle

from algo_core.testing import Home, assert_plugin_well_formed


def test_it_is_well_formed() -> None:
    assert_plugin_well_formed("acme-bundle")


def test_it_brings_the_profile_and_the_ca(algo_home: Home) -> None:
    shown = algo_home.run("profile", "show", "--json").json
    assert (shown["address"], shown["origin"]) == ("https://api.acme.example", "acme-bundle")
    assert Path(shown["ca_cert"]) == Path(acme_bundle.__file__).with_name("company-ca.pem")
    assert "BEGIN CERTIFICATE" in Path(shown["ca_cert"]).read_text()


def test_the_log_in_counts_for_the_company_only(acme: Home, session_file: Path) -> None:
    shown = acme.run("profile", "show", "--json").json
    assert shown["credential_origin"] == str(session_file)
    acme.write_config('[profiles.other]\naddress = "https://api.elsewhere.example"\n')
    assert acme.run("profile", "show", "other", "--json").json["credential"] is None


def test_errors_name_the_help_desk_where_it_can_help(acme: Home) -> None:
    acme.write_config('[profiles.default]\naddress = "ftp://wrong"\n')
    assert acme.run("profile", "show").stderr.endswith("hint: The help desk knows more: helpdesk@acme.example\n")
    assert "helpdesk" not in acme.run("nonsense").stderr


def test_the_doctor_asks_the_archive(acme: Home, archive_server: Any) -> None:
    def check() -> Any:
        (row,) = [row for row in acme.run("doctor", "--json").json if row["check"] == "acme archive"]
        return row

    assert check() == {"check": "acme archive", "ok": True, "text": f"{archive_server.address} answers"}
    acme.write_site_config('[acme]\narchive = "https://127.0.0.1:9/files"\n')
    acme.environ["ALGO_RETRIES"] = "0"
    assert not check()["ok"]
