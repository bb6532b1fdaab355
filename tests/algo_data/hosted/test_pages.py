"""Listings in pages: the next one is on its way while one is looked at, and what goes wrong with it is not noticed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from algo_core.errors import NetworkError, PlatformError
from algo_core.http.api import ApiClient
from algo_core.http.client import HttpClient
from algo_core.settings.profile import Profile
from algo_core.storage.uri import DataUri
from algo_data.hosted.storage import HostedStorage

COLLECTION = DataUri("data", ".my/c")
COUNT = 2500
NAMES = [f"f{number:04}" for number in range(COUNT)]
PAGES = ["GET data/.my/c", "GET data/.my/c?marker=1000", "GET data/.my/c?marker=2000"]


@pytest.fixture
def make_storage(data_platform):
    """A storage for the platform's data; it is told of each exchange if it is watched."""
    data_platform.files |= {f"data/.my/c/{name}": b"" for name in NAMES}
    clients = []

    def make(on_exchange=None) -> HostedStorage:
        profile = Profile("default", data_platform.address)
        clients.append(HttpClient(profile, timeout=(60, 60), retries=2, on_exchange=on_exchange))
        return HostedStorage(ApiClient(clients[-1]), "data")

    yield make
    for client in clients:
        client.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr("algo_core.http.retry.FIRST_SECONDS", 0.001)


def listed(pages: Iterator[list[str]]) -> list[str]:
    return [name for page in pages for name in page]


def test_each_page_is_asked_for_once_and_the_next_one_early(make_storage, data_platform) -> None:
    pages = make_storage().names(COLLECTION)
    assert next(pages) == NAMES[:1000]
    for _ in range(1000):
        if len(data_platform.log) == 2:
            break
        data_platform.flag.wait(0.01)
    assert data_platform.log == PAGES[:2], "the second is on its way, and no third"
    assert listed(pages) == NAMES[1000:]
    assert data_platform.log == PAGES


def test_entries_come_the_same_way(make_storage, data_platform) -> None:
    assert [entry.name for entry in make_storage().list(COLLECTION)] == NAMES
    assert data_platform.log == PAGES


@pytest.mark.parametrize("fault", [503, 429, "reset", "page", "cut_listing", "no_listing", "error"])
def test_what_goes_wrong_with_the_next_page_is_made_up_for(make_storage, data_platform, fault) -> None:
    def cut_listing(handler) -> bool:
        handler._send_head(200, 100, {"X-Data-Type": "directory"})
        handler.wfile.write(b'{"files": [')
        handler.close_connection = True
        return True

    def answered(body: bytes):
        def answer(handler) -> bool:
            handler.answer(200, body, {"X-Data-Type": "directory"})
            return True

        return answer

    actions = {"cut_listing": cut_listing, "no_listing": answered(b"[]"), "error": answered(b'{"error": "busy"}')}
    storage = make_storage()
    pages = storage.names(COLLECTION)
    data_platform.fail("GET", "c", lambda handler: False)  # the first page is fine
    data_platform.fail("GET", "c", actions.get(fault, fault))
    assert listed(pages) == NAMES
    assert data_platform.log == [PAGES[0], PAGES[1], PAGES[1], PAGES[2]]


def test_what_stays_wrong_is_told_as_ever(make_storage, data_platform) -> None:
    data_platform.fail("GET", "c", lambda handler: False)
    data_platform.fail("GET", "c", "page", times=9)
    with pytest.raises(PlatformError):
        listed(make_storage().names(COLLECTION))
    data_platform.faults.clear()
    data_platform.fail("GET", "c", lambda handler: False)
    data_platform.fail("GET", "c", "reset", times=99)
    with pytest.raises(NetworkError):
        listed(make_storage().names(COLLECTION))


def test_a_page_that_nobody_wants_any_more_is_not_taken_for_another_answer(make_storage, data_platform) -> None:
    storage = make_storage()
    pages = storage.names(COLLECTION)
    next(pages)
    pages.close()
    data_platform.files["data/.my/c/f0000"] = b"content"
    found = storage.read_small(COLLECTION.child("f0000"), 100)
    assert found
    assert found[1] == b"content"


def test_who_watches_is_told_of_each_page(make_storage, data_platform) -> None:
    seen = []
    storage = make_storage(lambda method, url, status, seconds: seen.append(url.rpartition("/v1/")[2]))
    assert listed(storage.names(COLLECTION)) == NAMES
    assert [f"GET {path}" for path in seen] == PAGES


def test_a_page_that_leads_to_itself_ends_the_listing(make_storage, data_platform) -> None:
    def itself(handler) -> bool:
        handler.answer(200, b'{"files": [{"filename": "f"}], "marker": "m"}', {"X-Data-Type": "directory"})
        return True

    data_platform.fail("GET", "c", itself, times=99)
    pages = make_storage().names(COLLECTION)
    assert next(pages) == ["f"]
    with pytest.raises(PlatformError, match="does not end"):
        listed(pages)
    assert len(data_platform.log) == 2
