"""Names of files in encodings of locales: all pass, and each is found again."""

from __future__ import annotations

import os

import pytest

from algo_core import names

TEXTS = ("plain", "ä", "日本", "🎉", "Ã¤", "a/ä/日", "é/日本", "mixed é日")
BYTES = (b"plain", b"\xe4", "ä".encode(), b"bad\xff", "日本".encode(), b"a/\xe4/" + "日".encode(), "Ã¤".encode())


@pytest.fixture(params=["ascii", "latin-1", "utf-8", "cp1252"])
def encoding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The encoding of file names in this process."""
    encoding = str(request.param)

    class System:
        @staticmethod
        def fsencode(name: str) -> bytes:
            return name.encode(encoding, "surrogateescape")

        @staticmethod
        def fsdecode(name: bytes) -> str:
            return name.decode(encoding, "surrogateescape")

    monkeypatch.setattr(names, "os", System)
    monkeypatch.setattr(names, "_IS_UTF_8", encoding == "utf-8")
    return encoding


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_written_is_found_under_the_same_name(encoding: str, text: str) -> None:
    assert names.portable(names.native(text)) == text


@pytest.mark.parametrize("stored", BYTES)
def test_what_is_found_is_opened_under_the_same_name(encoding: str, stored: bytes) -> None:
    found = stored.decode(encoding, "surrogateescape")
    assert names.native(names.portable(found)).encode(encoding, "surrogateescape") == stored
    assert names.in_bytes(names.portable(found)) == stored


def test_half_of_a_surrogate_pair_ends_nothing() -> None:
    assert names.in_bytes("x\ud83d") == b"x\\ud83d"
    assert names.portable("x\ud83d") == "x\ud83d"
    with pytest.raises(UnicodeEncodeError):
        os.fsencode(names.native("x\ud83d"))
