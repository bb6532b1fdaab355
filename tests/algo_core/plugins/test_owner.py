"""A defect of a plugin's storage or transport is reported as its own, and not as that of the command that used it."""

from __future__ import annotations

import pytest

from algo_core.errors import ExitCode
from algo_core.testing import FakePlatform, Home

SOURCE = """
from algo_core import Connector, hookimpl

class Transport:
    def send(self, request):
        {send}
    def close(self):
        {close}

@hookimpl
def algo_transport(profile):
    return Transport() if {is_transport} else None

@hookimpl
def algo_connectors():
    return [Connector("acme", "acme_odd.plugin:opened")]

class Storage:
    def __getattr__(self, name):
        raise LookupError("boom")

def opened(app, uri):
    return Storage()
"""


@pytest.mark.parametrize(
    ("words", "send", "close", "code", "said"),
    [
        (("ls",), "1 / 0", "pass", ExitCode.PLUGIN, "The plugin acme-odd 1.0 failed unexpectedly: ZeroDivisionError"),
        (("ls",), "return 'text'", "pass", ExitCode.PLUGIN, "Transport returned str, which is no response"),
        (("ls",), "return None", "pass", ExitCode.PLUGIN, "Transport returned NoneType, which is no response"),
        (("ls",), "1 / 0", "[][1]", ExitCode.PLUGIN, "the plugin acme-odd 1.0 failed when it was closed: IndexError"),
        (("ls", "acme://x"), "", "pass", ExitCode.PLUGIN, "The plugin acme-odd 1.0 failed unexpectedly: LookupError"),
    ],
)
def test_it_is_the_plugin_that_is_named(
    algo_home: Home, algo_fake_platform: FakePlatform, plugin_folder, words, send: str, close: str, code: int, said: str
) -> None:  # type: ignore[no-untyped-def]
    plugin_folder.add("acme-odd", SOURCE.format(send=send or "pass", close=close, is_transport=bool(send)))
    result = algo_home.run(*words, environ={"PYTHONPATH": str(plugin_folder.path), "ALGO_RETRIES": "0"})
    assert (result.code, said in result.stderr) == (code, True), result.stderr
    assert "Traceback" not in result.stderr
    assert "algo-data" not in result.stderr
