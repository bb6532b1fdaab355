"""The transport in process: responses as any others, at no cost before it is used."""

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
from support.sandbox import running_with

from algo_core import Profile
from algo_core.http.transport import Request
from algo_local import plugin
from algo_local.opening import platform_at
from algo_local.state import State
from algo_local.web.app import Application
from algo_local.web.transport import EmbeddedTransport


def test_the_default_profile_is_the_embedded_platform_and_only_that(root: Path) -> None:
    profile = plugin.algo_default_profile("default")
    assert profile
    assert (profile.name, profile.address, profile.credential) == ("default", "local:", None)
    assert profile.notice == "Using the embedded platform on this machine; 'algo auth' configures another."
    assert plugin.algo_default_profile("work") is None
    assert not root.exists()


def test_the_hook_gives_a_transport_for_the_platforms_own_address_only(root: Path) -> None:
    assert plugin.algo_transport(Profile("work", "https://api.example.com")) is None
    transport = plugin.algo_transport(Profile("default", "local:"))
    assert transport
    assert not root.exists()
    with transport.send(Request("GET", "local:/v1/data/", {})) as response:
        assert response.json()["folders"][0] == {"name": "jane"}
    assert platform_at(State(root)) is platform_at(State(root))
    platform_at(State(root)).close()


def test_loading_the_plugin_and_its_hooks_imports_nothing_heavy(root: Path) -> None:
    script = """
        import sys
        from algo_local import plugin
        plugin.algo_commands(), plugin.algo_default_profile("default"), plugin.algo_doctor_checks()
        heavy = {"requests", "sqlite3", "platformdirs", "click", "urllib3", "json", "ssl"}
        print(sorted(heavy & set(sys.modules)))
    """
    assert run_python(script) == "[]\n"


@pytest.mark.parametrize("metadata_url", ["sqlite"], indirect=True)  # the driver of a server imports more
def test_a_call_on_an_existing_platform_needs_neither_server_nor_builder(root: Path) -> None:
    script = """
        import sys
        from algo_core import Profile
        from algo_core.http.transport import BytesBody, Request
        from algo_local import plugin
        transport = plugin.algo_transport(Profile("default", "local:"))
        request = Request("POST", "local:/v1/algo/demo/Hello", {"Content-Type": "text/plain"}, BytesBody(b"HAL 9000"))
        print(transport.send(request).json()["result"])
        unwanted = {"requests", "urllib3", "email", "ssl", "http.client", "platformdirs", "algo_local.web.wsgi",
                    "algo_local.algorithms.builder", "algo_local.serving.http.server"}
        print(sorted(unwanted & set(sys.modules)))
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
        from algo_core import Profile
        from algo_core.http.transport import BytesBody, Request
        from algo_local import plugin
        transport = plugin.algo_transport(Profile("default", "local:"))
        body = BytesBody({str(exchange / "who")!r}.encode())
        request = Request("POST", "local:/v1/algo/jane/Late?output=void", {{"Content-Type": "text/plain"}}, body)
        print(transport.send(request).json()["async"], flush=True)
        transport.close()
    """
    assert run_python(script) == "void\n"
    assert running_with((exchange / "who").read_text()) == []


def test_responses_are_as_any_others(embedded: Any, platform: Any) -> None:
    embedded.mkdir("c")
    embedded.put(".my/c/f", b"line\n" * 1000)
    transport = EmbeddedTransport(Application(platform, trusted=True))
    with transport.send(Request("GET", "local:/v1/data/.my/c/f", {"Range": "bytes=5-"})) as response:
        assert (response.status, response.url) == (206, "local:/v1/data/.my/c/f")
        assert response.headers["content-length"] == response.headers["Content-Length"] == "4995"
        buffer = bytearray(3000)
        assert response.readinto(memoryview(buffer)) == 3000
        assert bytes(buffer) == (b"line\n" * 1000)[5:3005]
    with transport.send(Request("GET", "local:/v1/data/.my/c/f", {})) as response:
        assert b"".join(response.blocks(100)) == b"line\n" * 1000
    with transport.send(Request("HEAD", "local:/v1/data/.my/c/f", {})) as response:
        assert (response.headers["Content-Length"], response.readinto(bytearray(9))) == ("5000", 0)
    with transport.send(Request("GET", "local:/v1/data/.my/c/none", {})) as response:
        assert (response.status, "error" in response.json()) == (404, True)


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
