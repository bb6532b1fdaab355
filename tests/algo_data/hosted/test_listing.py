"""Listings: the platforms that tests make up list as the real one does, and older ones are understood, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests
from support.embedded import embedded_session
from support.stub import KEY, StubPlatform

from algo_local.platform import Platform
from algo_local.web.app import Application


def shape(value: Any) -> Any:
    """A value with the names of types in the place of texts and numbers."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    return [shape(member) for member in value] if isinstance(value, list) else type(value).__name__


def listing(session: requests.Session, address: str, path: str) -> Any:
    """What is said of a directory: the header that tells it, and the shape of the page."""
    response = session.get(f"{address}/v1/data/{path}")
    return response.status_code, response.headers["X-Data-Type"], shape(response.json())


def test_directories_are_listed_in_one_shape(data_platform, stub: StubPlatform, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LOGNAME", "jane")
    data_platform.files["data/.my/c/f"] = b"content"
    data_platform.directories |= {"data/.my/empty", "data/.algo"}
    platform = Platform(tmp_path / "platform")
    with embedded_session(Application(platform, trusted=True)) as real, requests.Session() as plain:
        plain.headers["Authorization"] = f"Simple {KEY}"
        for name in ("c", "empty"):
            real.post("local:/v1/data/.my", json={"name": name})
        real.put("local:/v1/data/.my/c/f", data=b"content")
        for path in (".my", ".my/c", ".my/empty"):
            assert listing(plain, data_platform.address, path) == listing(real, "local:", path), path
        assert listing(plain, stub.address, "") == listing(real, "local:", "")
    platform.close()


def test_lists_that_are_left_out_are_empty(home, data_platform) -> None:
    data_platform.leaves_out_empty = True
    data_platform.files["data/.my/c/f"] = b""
    assert home.run("ls", "-R", ".my").text.split() == [".my/c/", ".my/c/f"]
    data_platform.directories.add("data/.my/empty")
    assert home.run("ls", ".my/empty").text == ""
