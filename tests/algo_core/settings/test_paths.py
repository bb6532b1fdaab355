"""The rules that `paths` applies itself must be those of platformdirs."""

import os
import sys
from pathlib import Path

import platformdirs
import pytest

from algo_core.settings import paths


@pytest.mark.skipif(sys.platform != "linux", reason="only there does paths apply a rule of its own")
@pytest.mark.parametrize("xdg", [None, "/srv/xdg", ""])
def test_same_as_platformdirs(xdg: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in (
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_DIRS",
        "ALGO_CONFIG_DIR",
        "ALGO_CACHE_DIR",
        "ALGO_DATA_DIR",
        "XDG_DATA_HOME",
        "ALGO_SITE_CONFIG",
    ):
        monkeypatch.delenv(variable, raising=False)
    if xdg is not None:
        monkeypatch.setenv("XDG_CONFIG_HOME", xdg)
        monkeypatch.setenv("XDG_CACHE_HOME", xdg)
        monkeypatch.setenv("XDG_DATA_HOME", xdg)
    assert paths.config_dir() == platformdirs.user_config_dir("algo", appauthor=False)
    assert paths.data_dir() == platformdirs.user_data_dir("algo", appauthor=False)
    assert paths.cache_dir() == platformdirs.user_cache_dir("algo", appauthor=False)
    assert paths.site_config_files() == [platformdirs.site_config_dir("algo", appauthor=False) + "/config.toml"]


def test_variables_go_first() -> None:
    environ = {"ALGO_CONFIG_DIR": "/c", "ALGO_CACHE_DIR": "/k", "ALGO_SITE_CONFIG": "/s.toml", "HOME": "/h"}
    assert (paths.config_dir(environ), paths.cache_dir(environ)) == ("/c", "/k")


def test_variables_only_add_to_the_administrators_file() -> None:
    system = paths.system_site_file()
    dirs = os.pathsep.join(["/etc/xdg", "relative", "", "/opt/xdg"])
    environ = {"ALGO_SITE_CONFIG": "/s.toml", "XDG_CONFIG_DIRS": dirs}
    assert paths.site_config_files(environ) == [
        *dict.fromkeys([system, "/s.toml", "/etc/xdg/algo/config.toml", "/opt/xdg/algo/config.toml"])
    ]
    for environ in ({"ALGO_SITE_CONFIG": "/dev/null"}, {"XDG_CONFIG_DIRS": "/nowhere"}, {"ALGO_SITE_CONFIG": ""}, {}):
        assert paths.site_config_files(environ)[0] == system


def test_without_a_home_there_is_no_older_configuration() -> None:
    assert paths.legacy_config_file({}) is None
    assert paths.legacy_config_file({"HOME": "/h"}) == "/h/.algorithmia/config"
