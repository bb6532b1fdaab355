"""Two accounts and an algorithm that means harm, on a served platform: as it is seen from outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.programs import needs

Account = Callable[[str], Any]
Publish = Callable[..., None]


def test_a_public_algorithm_never_shows_one_account_what_another_gave_it(account: Account, publish: Publish) -> None:
    code = """
        import os, tempfile
        inputs = []

        def apply(input):
            inputs.append(input)
            tree = os.path.dirname(os.path.abspath(__file__))
            for place in (os.path.expanduser("~"), tempfile.gettempdir(), tree, "."):
                with open(os.path.join(place, "seen"), "a") as file:
                    file.write(input)
            return [inputs] + [open(os.path.join(place, "seen")).read() for place in (os.path.expanduser("~"), tree, ".")]
        """
    publish("eve/Collector", code)
    alice, bob = account("alice"), account("bob")
    for n in range(3):
        for caller, name in ((alice, "alice"), (bob, "bob")):
            inputs, *files = caller.run("eve/Collector", name.encode()).json()["result"]
            assert inputs == [name] * (n + 1)
            assert all(text == name * (n + 1) for text in files)


def test_an_algorithm_that_was_called_by_another_serves_the_account_that_called_that(
    account: Account, publish: Publish
) -> None:
    publish("eve/Counter", "calls = []\ndef apply(input):\n    calls.append(input)\n    return calls\n")
    code = """
        import json, os, urllib.request

        def apply(input):
            request = urllib.request.Request(os.environ["ALGORITHMIA_API"] + "/v1/algo/eve/Counter", data=input.encode())
            request.add_header("Authorization", os.environ["ALGORITHMIA_API_KEY"])
            request.add_header("Content-Type", "text/plain")
            return json.load(urllib.request.urlopen(request))["result"]
        """
    publish("eve/Outer", code)
    alice, bob = account("alice"), account("bob")
    for caller, name in ((alice, "alice"), (bob, "bob"), (alice, "alice")):
        assert set(caller.run("eve/Outer", name.encode()).json()["result"]) == {name}


def test_in_a_sandbox_neither_the_database_nor_data_nor_keys_can_be_read(
    account: Account, publish: Publish, platform: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("bwrap")
    monkeypatch.setenv("PLATFORM_SECRET", "hush-hush")
    code = """
        import os

        def apply(input):
            found = []
            for directory, names, files in os.walk("/"):
                names[:] = [name for name in names if os.path.join(directory, name) not in ("/usr", "/sys", "/proc")]
                for name in files:
                    if name.endswith((".sqlite3", ".sqlite3-wal")) or name == "diary":
                        found.append(os.path.join(directory, name))
            for pid in filter(str.isdecimal, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/environ") as file:
                        found += ["secret"] * ("hush" in file.read())
                except OSError:
                    pass
            return found
        """
    publish("eve/Spy", code)
    alice, bob = account("alice"), account("bob")
    alice.mkdir("private", acl={"read": []})
    alice.put(".my/private/diary", b"dear diary")
    assert list(platform.root.rglob("diary"))
    assert bob.run("eve/Spy").json()["result"] == []


def test_an_isolated_algorithm_calls_the_platform_and_uses_data(
    account: Account, publish: Publish, platform: Any, address: str, tmp_path: Path
) -> None:
    needs("bwrap")
    code = """
        import os, socket, urllib.request

        def ask(method, path, data=None):
            request = urllib.request.Request(os.environ["ALGORITHMIA_API"] + "/v1/" + path, data=data, method=method)
            request.add_header("Authorization", os.environ["ALGORITHMIA_API_KEY"])
            request.add_header("Content-Type", "text/plain")
            return urllib.request.urlopen(request).read().decode()

        def apply(address):
            host, _, port = address.rpartition("/")[2].rpartition(":")
            try:
                socket.create_connection((host, int(port)), timeout=5)
                reached = True
            except OSError:
                reached = False
            ask("PUT", "data/.my/notes/f", os.urandom(0) + b"x" * 3_000_000)
            return [reached, len(ask("GET", "data/.my/notes/f")), ask("POST", "algo/demo/Hello", b"HAL")]
        """
    publish("eve/Isolated", code)
    platform.publish(tmp_path / "algorithms/eve/Isolated/1.0.0", "eve", "Isolated", "1.0.1", network_access="isolated")
    alice = account("alice")
    alice.mkdir("notes")
    assert alice("GET", "algorithms/eve/Isolated").json()["settings"]["network_access"] == "isolated"
    for version in ("", "/1.0.0", "/1.0.0"):  # it holds for all versions
        reached, length, hello = alice.run(f"eve/Isolated{version}", address.encode()).json()["result"]
        assert (reached, length) == (False, 3_000_000)
        assert json.loads(hello)["result"] == "Hello HAL"
