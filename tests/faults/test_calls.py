"""Every request of every command fails at first: the commands do what they do when nothing goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from faults import wrongs
from faults.matrix import DIRECT, PATIENT, REQUESTS
from faults.proxy import Fault, FaultProxy
from faults.scene import Collection

from algo_core.errors import ExitCode
from algo_core.testing import Home

NOT_TLS = pytest.mark.parametrize("way", [DIRECT, REQUESTS], indirect=True)

FAILURES = {
    "500-502": (wrongs.status(500), wrongs.status(502)),
    "503-504": (wrongs.status(503), wrongs.status(504)),
    "429": (wrongs.status(429, body=b'{"error":{"message":"slow down"}}', content_type="application/json"),),
    "drop-reset": (wrongs.drop, wrongs.reset),
    "close-after": (wrongs.close_after,),
}


@NOT_TLS
@pytest.mark.parametrize("failures", FAILURES.values(), ids=FAILURES)
def test_every_request_may_fail_at_first(
    algo: Home, proxy: FaultProxy, collection: Collection, work: Path, failures: tuple[Fault, ...]
) -> None:
    def run(*words: str | Path) -> str:
        proxy.heal()
        proxy.fail_each(*failures)
        result = algo.run(*words)
        assert result.code == ExitCode.OK, result.stderr
        return result.text

    uri = collection.uri
    for name in "abc":
        (work / name).write_text(name * 100)
    assert run("cp", *(work / name for name in "abc"), uri).count("Uploaded") == 3
    assert collection.names == ["a", "b", "c"]
    assert run("ls", uri).split() == [f"{uri.removeprefix('data://')}/{name}" for name in "abc"]
    assert run("cat", f"{uri}/b") == "b" * 100
    (work / "down").mkdir()
    assert run("cp", f"{uri}/*", work / "down").count("Downloaded") == 3
    assert [(work / "down" / name).read_text() for name in "abc"] == [name * 100 for name in "abc"]
    run("cp", f"{uri}/a", f"{uri}/copy")
    assert collection.get("copy") == b"a" * 100


@NOT_TLS
def test_what_was_done_though_its_answer_was_lost_is_no_failure(
    algo: Home, proxy: FaultProxy, collection: Collection
) -> None:
    """A DELETE that is sent again finds nothing; the file is gone all the same, and that is what was asked for."""
    collection.put("f", b"x")
    proxy.fail("DELETE", "/f", wrongs.lose_answer)
    result = algo.run("rm", f"{collection.uri}/f")
    assert result.code == ExitCode.OK, result.stderr
    assert collection.names == []


@NOT_TLS
@pytest.mark.parametrize("failure", [wrongs.status(503), wrongs.drop], ids=["503", "drop"])
def test_what_must_not_be_sent_twice_is_not(
    algo: Home, proxy: FaultProxy, collection: Collection, failure: Callable[..., None]
) -> None:
    name = f"{collection.name}x"
    proxy.fail("POST", "", failure)
    result = algo.run("mkdir", f"data://.my/{name}")
    assert result.code in {ExitCode.NETWORK, ExitCode.PLATFORM}
    assert result.text == ""
    assert len(proxy.tries("POST")) == 1
    assert algo.run("mkdir", f"data://.my/{name}").code == ExitCode.OK


# Listings


LISTINGS: dict[str, tuple[tuple[Fault, ...], int]] = {
    "cut": ((wrongs.cut,) * 2, 3),
    "reset in the body": ((wrongs.reset_in_body,) * 2, 3),
    "cut in a chunk": ((wrongs.cut_in_chunk,) * 2, 3),
    "in chunks": ((wrongs.in_chunks,), 1),
    "stall in the body": ((wrongs.stall_in_body,), 2),
    "stall": ((wrongs.stall,), 2),
    "longer than it is": ((wrongs.announce_more,), 2),
}


@NOT_TLS
@pytest.mark.parametrize(("failures", "tries"), LISTINGS.values(), ids=LISTINGS)
def test_a_page_that_breaks_off_is_asked_for_again(
    algo: Home, proxy: FaultProxy, collection: Collection, failures: tuple[Fault, ...], tries: int
) -> None:
    collection.put("f", b"x")
    proxy.fail("GET", collection.name, *failures)
    is_silent = {wrongs.stall, wrongs.stall_in_body}.intersection(failures)
    result = algo.run("ls", collection.uri, environ=PATIENT if is_silent else {})
    assert (result.code, result.text) == (ExitCode.OK, f".my/{collection.name}/f\n"), result.stderr
    assert len(proxy.tries("GET", collection.name)) == tries


NO_LISTINGS: dict[str, tuple[Fault, int]] = {
    "half of the JSON": (wrongs.half, 7),
    "a log-in page": (wrongs.log_in_page, 7),
    "no HTTP": (wrongs.gibberish, 6),
    "403": (wrongs.status(403), 4),
    "404": (wrongs.status(404), 5),
    "503": (wrongs.status(503), 7),
}


@NOT_TLS
@pytest.mark.parametrize(("failure", "code"), NO_LISTINGS.values(), ids=NO_LISTINGS)
@pytest.mark.parametrize("command", ["ls", "cp"])
def test_what_is_no_listing_is_an_error(
    algo: Home, proxy: FaultProxy, collection: Collection, work: Path, failure: Fault, code: int, command: str
) -> None:
    collection.put("f", b"x")
    proxy.fail("GET", collection.name, *[failure] * 20)
    words = ["ls", collection.uri] if command == "ls" else ["cp", f"{collection.uri}/*", str(work)]
    result = algo.run(*words, environ={"ALGO_RETRIES": "1"})
    assert result.code == code, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == b""
    assert list(work.iterdir()) == []
