"""Ports that tests hand to servers: no two processes get the same, and none is another's."""

from __future__ import annotations

import os
import socket

import pytest
from support import ports


def test_no_port_is_given_twice_or_away(monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = ports.free_ports(1)
    few = range(first + 1, first + 60)
    monkeypatch.setattr(ports, "_not_given_away", lambda: few)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(ports, "_not_given_away", lambda: [*few, taken.getsockname()[1]])
        (reader, writer), (hold, release) = os.pipe(), os.pipe()
        children = []
        for _ in range(3):
            children.append(os.fork())
            if not children[-1]:
                os.write(writer, b"%s " % " ".join(map(str, ports.free_ports(12))).encode())
                os.close(writer)
                os.read(hold, 1)  # it keeps them for as long as it lives
                os._exit(0)
        said = b""
        while len(said.split()) < 36:
            said += os.read(reader, 4096)
        os.write(release, b"...")
        for number in (reader, writer, hold, release):
            os.close(number)
        for child in children:
            os.waitpid(child, 0)
        found = [int(word) for word in said.split()]
        assert len(set(found)) == 36
        assert taken.getsockname()[1] not in found
