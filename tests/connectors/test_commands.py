"""The data commands between any two of local, hosted data and each connector, directly and through the platform."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from support.stores import Store

from algo_core.testing import Home

STORES = ("s3", "azureblob", "gs", "dropbox")


@pytest.fixture(params=["direct", "platform"])
def home(request: pytest.FixtureRequest, algo_home: Home, stores: dict[str, Store]) -> Home:
    """A home in which each scheme opens its store: from this machine, or by the embedded platform."""
    algo_home.write_config('[profiles.default]\naddress = "local:"\n\n')
    if request.param == "direct":
        with algo_home.config_file.open("a") as file:
            file.write("\n".join(store.toml for store in stores.values()))
        return algo_home
    for store in stores.values():
        made = algo_home.run("local", "connector", "add", f"{store.scheme}+test", "--writable", *store.flags)
        assert made.code == 0, made.stderr
    return algo_home


def test_a_small_file_goes_from_anywhere_to_anywhere(home: Home, stores: dict[str, Store], tmp_path: Path) -> None:
    content = random.Random(1).randbytes(5000)
    assert home.run("mkdir", ".my/pairs").code == 0
    places = {"local": str(tmp_path), "data": "data://.my/pairs"}
    places |= {
        name: str(store.uri(f"pairs-{tmp_path.name}-{random.randrange(1 << 40)}")) for name, store in stores.items()
    }
    (tmp_path / "start").write_bytes(content)
    for name, place in places.items():
        done = home.run("cp", tmp_path / "start", f"{place}/from-{name}")
        assert done.code == 0, done.stderr
    for (one, source), (other, target) in itertools.permutations(places.items(), 2):
        done = home.run("cp", f"{source}/from-{one}", f"{target}/{one}-to-{other}")
        assert done.code == 0, done.stderr
        assert home.run("cat", f"{target}/{one}-to-{other}").stdout == content, (one, other)
