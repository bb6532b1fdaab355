"""Calls take a line to their actor: nobody else gets one, and Ray's certificates encrypt it."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from algo_core.errors import ConfigError
from algo_local.algorithms.build import Build
from algo_local.execution.payload import Payload
from algo_local.execution.relay.wire import Gone, Kind
from algo_local.testing import PATIENCE, context_for
from algo_ray import lines, sessions
from algo_ray.connection import Connection
from algo_ray.executor import RayExecutor
from algo_ray.frames import Channel
from algo_ray.lines import KEY_BYTES, Line, line_over, prove

KEY, OTHER = b"k" * KEY_BYTES, b"o" * KEY_BYTES


def in_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """Begin something; the result gives what came of it, also an exception."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def result() -> Any:
        thread.join(PATIENCE)
        return found[0]

    return result


@pytest.mark.parametrize(("key", "proved"), [(KEY, True), (OTHER, False), (b"", False)])
def test_both_ends_prove_that_they_know_the_key(key: bytes, proved: bool) -> None:
    platform, actor = socket.socketpair()
    with platform, actor:
        other = in_thread(lambda: prove(actor, key, is_platform=False))
        assert prove(platform, KEY, is_platform=True) == proved
        assert other() == proved


def test_an_answer_is_no_proof_of_the_other_end() -> None:
    """Whoever sends back what it gets has proved nothing."""
    platform, mirror = socket.socketpair()
    with platform, mirror:

        def reflect() -> None:
            for _ in range(2):
                mirror.sendall(mirror.recv(KEY_BYTES))

        other = in_thread(reflect)
        assert not prove(platform, KEY, is_platform=True)
        other()


def test_strangers_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_STRANGER_SECONDS", 0.2)  # for the one that says nothing
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = listener.getsockname()
        silent, ended, wrong, right = (socket.create_connection(place) for _ in range(4))
        with silent, ended, wrong, right:
            ended.close()
            wrong.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 64)
            proved = in_thread(lambda: prove(right, KEY, is_platform=False))
            accepted = sessions._accepted(listener, KEY)
            assert accepted
            with accepted:
                assert proved() is True
                assert accepted.getpeername() == right.getsockname()
                assert accepted.gettimeout() is None


def test_nobody_who_proves_himself_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PROVE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert sessions._accepted(listener, KEY) is None


class Recorder(io.BytesIO):
    """Keeps what would be sent."""

    sendall = io.BytesIO.write


@pytest.fixture
def environ_of(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Gives Ray's variables with a certificate of an authority of this name."""
    authorities: dict[str, trustme.CA] = {}

    def environ(name: str) -> dict[str, str]:
        authority = authorities.setdefault(name, trustme.CA())
        certificate, base = authority.issue_cert("node"), tmp_path / name
        base.mkdir(exist_ok=True)
        authority.cert_pem.write_to_path(base / "ca.pem")
        certificate.private_key_pem.write_to_path(base / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(base / "cert.pem")
        return {
            "RAY_USE_TLS": "1",
            "RAY_TLS_SERVER_CERT": str(base / "cert.pem"),
            "RAY_TLS_SERVER_KEY": str(base / "key.pem"),
            "RAY_TLS_CA_CERT": str(base / "ca.pem"),
        }

    return environ


def joined(platform: socket.socket, actor: socket.socket, ours: Any, theirs: Any) -> tuple[Any, Any]:
    """Lines over both ends of a connection, or why there are none."""
    other = in_thread(lambda: line_over(actor, theirs, is_platform=False))
    return in_thread(lambda: line_over(platform, ours, is_platform=True))(), other()


def test_certificates_of_ray_encrypt_lines(environ_of: Callable[[str], dict[str, str]]) -> None:
    platform, actor = socket.socketpair()
    near, far = joined(platform, actor, environ_of("ours"), environ_of("ours"))
    with near.socket, far.socket:
        assert near.socket.version().startswith("TLS")
        at_once = Recorder()
        for kind, head, body in ((Kind.PRINTED, None, b"a" * 100), (Kind.ANSWER, True, b"b" * 9_000)):
            Line(at_once).send(kind, head, body)  # type: ignore[arg-type]
        far.socket.sendall(at_once.getvalue())
        assert near.receive().body == b"a" * 100
        assert near.has_begun(), "more has been read, which polling does not show"
        assert near.receive() == (Kind.ANSWER, True, b"b" * 9_000)
        assert not near.has_begun()


def test_lines_are_plain_without_certificates() -> None:
    platform, actor = socket.socketpair()
    near, far = joined(platform, actor, {}, {})
    with near.socket, far.socket:
        for one, other in ((near, far), (far, near)):
            one.send(Kind.ANSWER, True, b"b" * 9_000)
            assert other.receive() == (Kind.ANSWER, True, b"b" * 9_000)


@pytest.mark.parametrize("theirs", ["others", ""], ids=["another authority", "not encrypted"])
def test_other_certificates_get_no_line(environ_of: Callable[[str], dict[str, str]], theirs: str) -> None:
    platform, actor = socket.socketpair()
    actor.settimeout(PATIENCE)

    def talk() -> None:
        line = line_over(actor, environ_of(theirs) if theirs else {}, is_platform=False)
        with line.socket:
            line.send(Kind.ANSWER, None, b"x" * 400)
            line.receive()

    other = in_thread(talk)
    with pytest.raises(OSError):
        line_over(platform, environ_of("ours"), is_platform=True)
    platform.close()
    assert isinstance(other(), (OSError, Gone))


@pytest.mark.parametrize("missing", ["RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT"])
def test_a_missing_certificate_is_told(
    environ_of: Callable[[str], dict[str, str]], tmp_path: Path, missing: str
) -> None:
    environ = {**environ_of("ours"), missing: ""}
    with pytest.raises(OSError, match=f"RAY_USE_TLS is set, and {missing} is not"):
        lines.encryption(environ, is_platform=True)
    with pytest.raises(ConfigError, match=f"cannot be encrypted: RAY_USE_TLS is set, and {missing} is not"):
        Connection("127.0.0.1:9", tmp_path / "driver", environ).open()
    environ = environ_of("ours")
    Path(environ[missing]).write_text("no certificate")
    with pytest.raises(ConfigError, match="cannot be encrypted"):
        Connection("127.0.0.1:9", tmp_path / "driver", environ).open()


def test_a_warm_call_takes_its_line_alone(
    ray_executor: RayExecutor, build_code: Callable[[str], Build], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither Ray nor the driver has a part in it, which is what a call costs least with."""
    made = build_code("def apply(input):\n    return input\n")
    sent: list[str] = []
    asked: list[Kind] = []
    send, ask = Channel.send, Line.send

    def channel_send(self: Channel, *message: Any) -> None:
        sent.append(message[0])
        send(self, *message)

    def line_send(self: Line, kind: Kind, head: Any = None, body: bytes = b"") -> None:
        asked.append(kind)
        ask(self, kind, head, body)

    monkeypatch.setattr(Channel, "send", channel_send)
    monkeypatch.setattr(Line, "send", line_send)
    for number in range(3):
        outcome = ray_executor.call(made, Payload("json", number), timeout=PATIENCE, context=context_for())
        assert outcome.result == Payload("json", number)
    assert sent == ["start"]
    assert asked == [Kind.ASK, *[Kind.CALL] * 3]


def test_what_other_machines_send_is_read_as_json() -> None:
    """Python's own format is only for forks of one process: what reads it can be made to crash, or to fill the memory."""
    left, right = socket.socketpair()
    with left, right:
        Line(left).send(Kind.ANSWER, {"a": [1, "\ud800"]})
        data = right.recv(1 << 16)
        assert json.loads(data[9:]) == {"a": [1, "\ud800"]}
        left.sendall(b"A" + (5).to_bytes(4, "big") + bytes(4) + b"(\xff\xff\xff\x7f")
        with pytest.raises(Gone):
            Line(right).receive()
