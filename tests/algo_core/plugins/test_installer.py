"""`algo-plugins` is a part of algo: it takes part unless it is named itself, and where it does not the core says why."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from algo_core.errors import ExitCode
from algo_core.plugins.index import PluginRecord
from algo_core.plugins.manager import Plugins
from algo_core.plugins.policy import INSTALLER, Policy
from algo_core.settings.config import Config, Layer
from algo_core.testing import Home


def policy(
    user: dict, site: dict, environ: dict[str, str], *, all_out: bool = False, out: Iterable[str] = ()
) -> Policy:
    config = Config(Layer({"plugins": user}, "user.toml"), [Layer({"plugins": site}, "site.toml")], environ)
    return Policy.read(config, no_plugins=all_out, no_plugin=out)


STAR, NAMED = ["*"], [INSTALLER]
TAKES_PART = {
    "nothing said": policy({}, {}, {}),
    "others allowed": policy({}, {"allow": ["acme-*"]}, {}),
    "another is required": policy({}, {"require": ["acme-bundle"]}, {}),
    "all disabled": policy({"disabled": STAR}, {}, {}),
    "all disabled by the variable": policy({}, {}, {"ALGO_DISABLE_PLUGINS": "*"}),
    "all left out": policy({}, {}, {}, all_out=True),
    "a pattern": policy({"disabled": ["algo-*"]}, {}, {}),
    "another left out": policy({}, {}, {}, out=["algo-run"]),
}
LEFT_OUT = {
    "denied": policy({}, {"deny": NAMED}, {}),
    "denied with all": policy({}, {"deny": STAR}, {}),
    "disabled": policy({"disabled": NAMED}, {}, {}),
    "disabled by the variable": policy({}, {}, {"ALGO_DISABLE_PLUGINS": INSTALLER}),
    "left out": policy({}, {}, {}, out=["Algo_Plugins"]),
    "a file that cannot be read": Policy(none_at_all="left out: site.toml is wrong", is_closed=True),
}


def refusal(policy: Policy) -> str | None:
    return policy.lasting_refusal(INSTALLER, "1.0") or policy.passing_refusal(INSTALLER)


@pytest.mark.parametrize("how", TAKES_PART)
def test_it_takes_part(how: str) -> None:
    assert refusal(TAKES_PART[how]) is None
    if how.startswith(("others", "all")):
        other = TAKES_PART[how]
        assert other.lasting_refusal("other", "1.0") or other.passing_refusal("other")


@pytest.mark.parametrize("how", LEFT_OUT)
def test_it_is_left_out(how: str) -> None:
    assert refusal(LEFT_OUT[how])


def test_why_nothing_installs_plugins(tmp_path: Path) -> None:
    plugins = Plugins(str(tmp_path), Policy(), lambda text: None)
    installer = PluginRecord("plugins", "algo_plugins.plugin", INSTALLER, "1.0")
    for records, said in (
        ([], f"get it with: `{plugins_command(tmp_path)}`"),
        ([installer], None),
    ):
        plugins.__dict__["records"] = records
        why = plugins.why_no_installer()
        assert (why is None) if said is None else (why or "").endswith(said)
    installer.error = "ImportError: no"
    assert "1.0, which installs plugins, is broken: ImportError: no" in (plugins.why_no_installer() or "")
    installer.refusal = "disabled by user.toml"
    assert "disabled by user.toml" in (plugins.why_no_installer() or "")


def plugins_command(tmp_path: Path) -> str:
    none = Plugins(str(tmp_path / "none"), Policy(), lambda text: None)
    none.__dict__["records"] = []
    return none.to_install(INSTALLER)


def test_a_misspelt_command_of_the_cores_own_is_not_taken_for_one_of_its(algo_home: Home) -> None:
    out = ("--no-plugin", INSTALLER, "plugins")
    result = algo_home.run(*out, "lst")
    assert (result.code, INSTALLER in result.stderr) == (ExitCode.USAGE, False)
    result = algo_home.run(*out, "install", "x")
    assert (result.code, "left out by --no-plugin" in result.stderr) == (ExitCode.USAGE, True)
