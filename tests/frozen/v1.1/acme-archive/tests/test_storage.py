"""The storage keeps the contract of `algo`, and the commands reach it."""

from __future__ import annotations

from pathlib import Path

import pytest
from algo_core.errors import ConfigError
from algo_core.storage.uri import DataUri
from algo_core.testing import Home, StorageContract, assert_plugin_well_formed

from acme_archive.storage import DirectoryStorage, open_storage

SCHEME = "acme-archive"


class TestStorage(StorageContract):
    contract = (1, 1)

    @pytest.fixture
    def storage(self, tmp_path: Path) -> DirectoryStorage:
        return DirectoryStorage(tmp_path / "store")

    @pytest.fixture
    def directory(self, storage: DirectoryStorage) -> DataUri:
        made = DataUri(SCHEME, "empty")
        storage.mkdir(made)
        return made


def test_the_plugin_is_well_formed() -> None:
    assert_plugin_well_formed("acme-archive")


def test_the_commands_read_and_write_it(algo_home: Home, tmp_path: Path) -> None:
    algo_home.write_config(f'[connectors."{SCHEME}"]\ndirectory = "{tmp_path / "store"}"\n')
    assert algo_home.run("cp", "-", f"{SCHEME}://greeting", input="hello").code == 0
    assert algo_home.run("cat", f"{SCHEME}://greeting").text == "hello"
    assert algo_home.run("ls", f"{SCHEME}://").text == f"{SCHEME}://greeting\n"


def test_a_missing_file_has_its_exit_code(algo_home: Home, tmp_path: Path) -> None:
    algo_home.write_config(f'[connectors."{SCHEME}"]\ndirectory = "{tmp_path / "store"}"\n')
    assert algo_home.run("cat", f"{SCHEME}://nothing").code == 5


@pytest.mark.parametrize("options", [{}, {"directory": 3}, {"directory": "/tmp", "other": "x"}])
def test_wrong_options_are_an_error_of_the_configuration(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=SCHEME):
        open_storage(SCHEME, options)
