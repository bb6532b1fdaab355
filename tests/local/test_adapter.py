"""The transport in process: a requests session as any other, at no cost before it is used."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.sandbox import running_with

from algo_core import Profile
from algo_local import plugin
from algo_local.web.adapter import platform_at


def test_the_default_profile_is_the_embedded_platform_and_only_that(root: Path) -> None:
    profile = plugin.algo_default_profile("default")
    assert profile
    assert (profile.name, profile.address, profile.credential) == ("default", "local:", None)
    assert profile.notice == "Using the embedded platform on this machine; 'algo auth' configures another."
    assert plugin.algo_default_profile("work") is None
    assert not root.exists()


def test_the_hook_mounts_the_platform_on_its_own_address_only(root: Path) -> None:
    with requests.Session() as session:
        plugin.algo_configure_session(session, Profile("work", "https://api.example.com"))
        assert "local:" not in session.adapters
        plugin.algo_configure_session(session, Profile("default", "local:"))
        assert not root.exists()
        assert session.get("local:/v1/data/").json()["folders"][0] == {"name": "jane"}
    assert platform_at(root) is platform_at(root)
    platform_at(root).close()


def test_loading_the_plugin_and_its_hooks_imports_nothing_heavy(root: Path) -> None:
    script = """
        import sys
        from algo_local import plugin
        plugin.algo_commands(), plugin.algo_default_profile("default"), plugin.algo_doctor_checks()
        heavy = {"requests", "sqlite3", "platformdirs", "click", "urllib3", "json", "ssl"}
        print(sorted(heavy & set(sys.modules)))
    """
    assert run_python(script) == "[]\n"


def test_a_call_on_an_existing_platform_needs_neither_server_nor_builder(root: Path) -> None:
    script = """
        import sys, requests
        from algo_core import Profile
        from algo_local import plugin
        session = requests.Session()
        plugin.algo_configure_session(session, Profile("default", "local:"))
        answer = session.post("local:/v1/algo/demo/Hello", data=b"HAL 9000", headers={"Content-Type": "text/plain"})
        print(answer.json()["result"])
        print(sorted({"platformdirs", "algo_local.algorithms.builder", "algo_local.serving.server"} & set(sys.modules)))
    """
    run_python(script)
    assert run_python(script) == "Hello HAL 9000\n[]\n"


def test_the_process_ends_only_when_void_calls_are_done_and_no_algorithm_outlives_it(
    root: Path, publish: Any, platform: Any, exchange: Path
) -> None:
    publish(
        "jane/Late",
        "import os, time\ndef apply(path):\n    time.sleep(1)\n"
        "    open(path, 'w').write(os.environ['ALGORITHMIA_API_KEY'])",
    )
    script = f"""
        import requests
        from algo_core import Profile
        from algo_local import plugin
        session = requests.Session()
        plugin.algo_configure_session(session, Profile("default", "local:"))
        print(session.post("local:/v1/algo/jane/Late?output=void", data={str(exchange / "who")!r},
                           headers={{"Content-Type": "text/plain"}}).json()["async"], flush=True)
        session.close()
    """
    assert run_python(script) == "void\n"
    assert running_with((exchange / "who").read_text()) == []


def test_answers_are_ordinary_responses(embedded: Any) -> None:
    embedded.mkdir("c")
    embedded.put(".my/c/f", b"line\n" * 1000)
    answer = embedded("GET", "data/.my/c/f", stream=True)
    assert isinstance(answer, requests.Response)
    assert (answer.ok, answer.reason, answer.url) == (True, "OK", "local:/v1/data/.my/c/f")
    assert next(answer.iter_lines()) == b"line"
    answer.close()
    with embedded("GET", "data/.my/c/f", stream=True) as answer:
        buffer = bytearray(3000)
        assert answer.raw._fp.readinto(memoryview(buffer)) == 3000
        assert bytes(buffer) == (b"line\n" * 1000)[:3000]
        assert answer.raw.read() == (b"line\n" * 1000)[3000:]
    with pytest.raises(requests.HTTPError):
        embedded("GET", "data/.my/c/none").raise_for_status()


def test_addresses_arrive_undecoded_and_unicode_is_encoded(embedded: Any) -> None:
    embedded.mkdir("c")
    assert embedded.put(".my/c/ü x%2541", b"1").json() == {"result": "data://.my/c/ü x%41"}
    assert embedded("GET", "data/.my/c/%C3%BC%20x%2541#fragment").content == b"1"


def test_memory_stays_constant_in_both_directions(embedded: Any) -> None:
    embedded.mkdir("c")
    block = b"x" * (1 << 20)

    def blocks() -> Iterator[bytes]:
        for _ in range(64):
            yield block

    tracemalloc.start()
    try:
        assert embedded.put(".my/c/big", blocks()).status_code == 200
        answer = embedded("GET", "data/.my/c/big", stream=True)
        assert sum(len(part) for part in answer.iter_content(1 << 20)) == 64 << 20
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_what_the_source_of_an_upload_raises_is_raised_as_it_is(embedded: Any) -> None:
    embedded.mkdir("c")

    class Broken(OSError):
        pass

    def blocks() -> Iterator[bytes]:
        yield b"x"
        raise Broken("the disk of the sender")

    with pytest.raises(Broken):
        embedded.put(".my/c/f", blocks())
    assert embedded("GET", "data/.my/c/f").status_code == 404


def test_a_file_that_is_shorter_than_announced_is_refused(embedded: Any) -> None:
    embedded.mkdir("c")

    class Shrinking(io.BytesIO):
        def __len__(self) -> int:
            return 6

    answer = embedded.put(".my/c/f", Shrinking(b"12345"))
    assert answer.status_code == 400
    assert "after 5 of 6 bytes" in answer.json()["error"]["message"]
    assert embedded("GET", "data/.my/c/f").status_code == 404


def run_python(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    return done.stdout
