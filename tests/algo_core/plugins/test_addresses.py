"""A plugin that names the addresses which its transport carries is loaded for those only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from algo_core.testing import Home

TRANSPORT = """
import io, os
from algo_core import hookimpl
{declared}
open(os.environ["LOADED"], "a").write("x")

class Carrier:
    def send(self, request):
        from algo_core.http.response import StreamResponse
        body = b'{{"folders": [{{"name": "carried"}}], "files": []}}'
        return StreamResponse(request.url, 200, {{"X-Data-Type": "directory"}}, io.BytesIO(body))

    def close(self): pass

@hookimpl
def algo_transport(profile):
    return Carrier() if profile.address.startswith("acme:") else None
"""


@pytest.fixture
def carried(algo_home: Home, plugin_folder, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Lists an address with such a plugin: its exit code and text, and how often the plugin was loaded for that."""

    def run(declared: str, address: str) -> tuple[int, str, int]:
        loaded = tmp_path / "loaded"
        loaded.write_text("")
        plugin_folder.add("acme", TRANSPORT.format(declared=declared))
        environ = {"PYTHONPATH": str(plugin_folder.path), "LOADED": str(loaded)}
        algo_home.run("plugins", "list", environ=environ)
        before = len(loaded.read_text())
        result = algo_home.run("ls", environ={**environ, "ALGORITHMIA_API": address, "ALGO_RETRIES": "0"})
        return result.code, result.text + result.stderr, len(loaded.read_text()) - before

    return run


@pytest.mark.parametrize("declared", ['ALGO_ADDRESSES = ("acme:",)', 'ALGO_ADDRESSES = ["other:", "acme:"]', ""])
def test_it_is_loaded_for_its_own(carried, declared: str) -> None:  # type: ignore[no-untyped-def]
    assert carried(declared, "acme:") == (0, "carried/\n", 1)


@pytest.mark.parametrize(("declared", "times"), [('ALGO_ADDRESSES = ("acme:",)', 0), ("", 1)])
def test_it_is_not_loaded_for_others(carried, declared: str, times: int) -> None:  # type: ignore[no-untyped-def]
    code, _, loaded = carried(declared, "http://127.0.0.1:9")
    assert (code != os.EX_OK, loaded) == (True, times)


@pytest.mark.parametrize("declared", ['ALGO_ADDRESSES = "acme:"', "ALGO_ADDRESSES = (1,)", 'ALGO_ADDRESSES = ("",)'])
def test_what_names_none_breaks_the_plugin(algo_home: Home, plugin_folder, tmp_path: Path, declared: str) -> None:  # type: ignore[no-untyped-def]
    plugin_folder.add("acme", TRANSPORT.format(declared=declared))
    environ = {"PYTHONPATH": str(plugin_folder.path), "LOADED": str(tmp_path / "loaded")}
    assert "write a tuple of addresses" in algo_home.run("plugins", "show", "acme", environ=environ).text
