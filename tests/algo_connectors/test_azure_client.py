"""Azure Blob Storage over algo's own connections: settings, refusals, and a clock that is wrong."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Iterator
from email.utils import formatdate
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from support.stores import Store

from algo_connectors.azure import requests
from algo_connectors.azure.adlfs_client import AdlfsClient
from algo_connectors.azure.answers import listing_of
from algo_connectors.azure.direct_client import DirectBlobClient
from algo_connectors.azureblob import AzureStorage
from algo_connectors.common import clock
from algo_connectors.common.opening import open_store
from algo_core.errors import AlgoError, AuthError, ConfigError, NotFoundError, PermissionDenied, PlatformError
from algo_core.storage.uri import DataUri
from algo_core.testing import FakePlatform, FakeResponse

KEY = base64.b64encode(b"key").decode()
ADDRESS = "https://account.blob.core.windows.net"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCOUNT_NAME", "ACCOUNT_KEY", "SAS_TOKEN", "CONNECTION_STRING"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)


def client_of(**options: object) -> DirectBlobClient:
    storage = open_store("azureblob", options)
    assert isinstance(storage, AzureStorage)
    assert isinstance(storage.client, DirectBlobClient)
    return storage.client


@pytest.mark.parametrize(
    ("options", "address", "account", "signature"),
    [
        ({"account_name": "account", "account_key": KEY}, ADDRESS, "account", ""),
        ({"storage_uri": f"{ADDRESS}/", "account_key": KEY}, ADDRESS, "account", ""),
        ({"storage_uri": "http://127.0.0.1:1/dev", "account_name": "dev", "account_key": KEY}, None, "dev", ""),
        ({"account_name": "account", "sas_token": "?sv=1&sig=a%2B"}, ADDRESS, None, "sv=1&sig=a%2B"),
        (
            {"connection_string": f"AccountName=account;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn"},
            *("https://account.blob.core.chinacloudapi.cn", "account", ""),
        ),
        (
            {"connection_string": f"BlobEndpoint={ADDRESS};SharedAccessSignature=sv=1&sig=b"},
            *(ADDRESS, None, "sv=1&sig=b"),
        ),
    ],
)
def test_where_an_account_is(options: dict[str, str], address: str | None, account: str | None, signature: str) -> None:
    found = client_of(**options).account
    assert found.address == (address or options["storage_uri"])
    assert (found.key and found.key.account, found.signature) == (account, signature)


def test_the_variables_of_the_azure_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    assert client_of().account.address == ADDRESS
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "sig=c")
    assert client_of(account_name="other", sas_token="sig=d").account == (
        *("https://other.blob.core.windows.net", None, "sig=d"),
    )
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=third;AccountKey={KEY}")
    assert client_of().account.address == "https://third.blob.core.windows.net"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"account_key": KEY}, "names no account"),
        ({"account_name": "a", "account_key": "?"}, "account_key that is not base64"),
        ({"account_name": "a", "sas_token": "sv=1"}, "without sig="),
        ({"storage_uri": "account.blob.core.windows.net", "account_key": KEY}, "no usable storage_uri"),
        ({"storage_uri": f"{ADDRESS}?sig=secret", "account_key": KEY}, "no usable storage_uri"),
        ({"connection_string": "nonsense"}, "invalid connection_string"),
        ({"account_name": "a", "account_key": KEY, "client": "boto"}, "client must be one of direct, adlfs"),
        ({"account_name": "a", "account_key": KEY, "client": "direct", "acount": "b"}, "no option acount"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        open_store("azureblob", options)
    assert message in error.value.message
    assert "secret" not in error.value.message


def test_what_needs_adlfs() -> None:
    for options in ({"client": "adlfs"}, {"max_concurrency": 2}):
        storage = open_store("azureblob", {"account_name": "account", "account_key": KEY, **options})
        assert isinstance(storage, AzureStorage)
        assert isinstance(storage.client, AdlfsClient)


@pytest.fixture
def fake() -> Iterator[FakePlatform]:
    with FakePlatform() as store:
        yield store


def opened(fake: FakePlatform) -> AzureStorage:
    storage = open_store("azureblob", {"storage_uri": fake.address, "account_name": "a", "account_key": KEY})
    assert isinstance(storage, AzureStorage)
    return storage


def test_a_clock_that_is_wrong_is_corrected_once(fake: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SimpleNamespace(time=lambda: time.time() - 3 * 86_400)
    monkeypatch.setattr(requests, "time", slow)
    monkeypatch.setattr(clock, "time", slow)
    refused = FakeResponse(403, headers={"x-ms-error-code": "AuthenticationFailed"})
    answer = FakeResponse(200, headers={"ETag": '"1"'})
    fake.on("HEAD", "/box/a", refused, answer, answer)
    storage = opened(fake)
    for _ in range(2):
        assert storage.head(DataUri("azureblob", "box/a"), "box", "a").version == '"1"'
    days = [request.headers["x-ms-date"][:11] for request in fake.requests]
    then, today = (formatdate(moment, usegmt=True)[:11] for moment in (slow.time(), time.time()))
    assert days == [then, today, today]


def test_a_refusal_that_no_clock_explains_ends_at_once(fake: FakePlatform) -> None:
    fake.on("HEAD", "/box/a", FakeResponse(403, headers={"x-ms-error-code": "AuthenticationFailed"}))
    with pytest.raises(AuthError):
        opened(fake).stat(DataUri("azureblob", "box/a"))
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>", PlatformError),
        (b"<EnumerationResults><Blobs><Blob><Name>a</Name></Blob></Blobs></EnumerationResults>", PlatformError),
        (b"<EnumerationResults><Blobs><Blob/></Blobs></EnumerationResults>", PlatformError),
        (b"", PlatformError),
    ],
)
def test_listings_that_are_none(fake: FakePlatform, body: bytes, error: type[AlgoError]) -> None:
    fake.on("GET", "/box", FakeResponse(200, body))
    with pytest.raises(error):
        list(opened(fake).list(DataUri("azureblob", "box")))


def test_names_that_xml_cannot_hold_are_decoded() -> None:
    root = ElementTree.fromstring(
        '<EnumerationResults><Blobs><Blob><Name Encoded="true">a%EF%BF%BF%2525</Name><Properties>'
        "<Content-Length>3</Content-Length><Etag>0x1</Etag></Properties></Blob>"
        "<BlobPrefix><Name>b%25/</Name></BlobPrefix></Blobs><NextMarker>next</NextMarker></EnumerationResults>"
    )
    page, following = listing_of(root)
    assert [name for name, _ in page.blobs] == ["a\uffff%25"]
    assert (page.blobs[0][1].size, page.blobs[0][1].etag) == (3, '"0x1"')
    assert (page.prefixes, following) == (["b%25/"], "next")


def test_the_store_compares_what_arrives(azureblob: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, uri = azureblob.open(), azureblob.uri(f"damaged-{uuid.uuid4().hex}")
    wrong = requests.md5_text(b"something else")
    monkeypatch.setattr(requests, "md5_text", lambda content: wrong)
    with pytest.raises(AlgoError, match=r"damaged|MD5|Md5"):
        storage.write_small(uri, b"content")
    with pytest.raises(NotFoundError):
        storage.stat(uri)


def test_a_missing_container_is_named(azureblob: Store) -> None:
    options = {name: value for name, value in azureblob.options.items() if name != "container"}
    with pytest.raises(NotFoundError) as error:
        open_store("azureblob", options).read_small(DataUri("azureblob", "nowhere/a"), 10)
    assert "no such container" in error.value.message


@pytest.mark.parametrize("secret", [{"account_key": KEY}, {"account_key": "", "sas_token": "sv=2021-12-02&sig=none"}])
def test_a_wrong_secret_says_what_to_check(azureblob: Store, secret: dict[str, str]) -> None:
    options = {name: value for name, value in {**azureblob.options, **secret}.items() if value}
    with pytest.raises(PermissionDenied) as error:
        open_store("azureblob", options).read_small(DataUri("azureblob", "a"), 10)
    assert "Check account_key or sas_token in [connectors.azureblob]" in str(error.value.hint)
