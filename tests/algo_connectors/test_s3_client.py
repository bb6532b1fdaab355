"""Requests to S3 over algo's own connections: addresses, regions, credentials, checksums and odd answers."""

from __future__ import annotations

import io
import uuid
import zlib
from base64 import b64encode
from collections.abc import Mapping
from email.utils import formatdate
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from support.stores import Store

from algo_connectors.aws.direct_client import DirectS3Client
from algo_connectors.aws.requests import Target
from algo_connectors.aws.s3fs_client import S3fsClient
from algo_connectors.aws.signature import LONGEST, NO_CONTENT, UNSIGNED, Keys
from algo_connectors.common.errors import store_errors
from algo_connectors.common.opening import open_store
from algo_connectors.s3 import S3Storage
from algo_core.errors import (
    AlgoError,
    AuthError,
    ConfigError,
    NetworkError,
    NotFoundError,
    PermissionDenied,
    PlatformError,
    RequestRefused,
    TimedOut,
    UsageError,
)
from algo_core.http.response import StreamResponse
from algo_core.storage.contract import Checksum, Entry, Kind
from algo_core.storage.uri import DataUri

KEYS = Keys("AKIAEXAMPLE", "secret")
URI = DataUri("s3", "bucket/key")


class Script:
    """Takes the place of connections: gives prepared answers, and keeps what was sent."""

    def __init__(self, *answers: tuple[int, Mapping[str, str], bytes]) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, str, dict[str, str], bytes]] = []

    def client(self, endpoint: str = "http://127.0.0.1:9", region: str = "us-east-1", keys: Any = None) -> S3Storage:
        connect: Any = lambda origin: self  # noqa: E731 - of another type
        return S3Storage(DirectS3Client(Target(endpoint, region), keys or (lambda: KEYS), connect))

    def pipeline(self, url: str, limit: int) -> None:
        """There is none: everything is sent in the ordinary way."""

    def send(self, method: str, url: str, *, headers: dict[str, str], body: Any, as_stored: bool) -> StreamResponse:
        assert as_stored
        self.sent.append((method, url, headers, b"".join(body) if body else b""))
        status, more, content = self.answers.pop(0)
        length = {} if "Content-Length" in more else {"Content-Length": str(len(content))}
        response = StreamResponse(url, status, {**more, **length}, io.BytesIO(content))
        response.has_body = method != "HEAD"
        return response


def error(code: str, message: str = "as the store says", more: str = "") -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>".encode()


@pytest.mark.parametrize(
    ("endpoint", "region", "bucket", "key", "url"),
    [
        ("", "eu-west-1", "bucket", "a b/c", "https://bucket.s3.eu-west-1.amazonaws.com/a%20b/c"),
        ("", "us-east-1", "my.bucket", "k", "https://s3.us-east-1.amazonaws.com/my.bucket/k"),
        ("", "us-east-1", "Upper_Case", "k", "https://s3.us-east-1.amazonaws.com/Upper_Case/k"),
        ("", "cn-north-1", "bucket", "k", "https://bucket.s3.cn-north-1.amazonaws.com.cn/k"),
        ("http://127.0.0.1:9000", "r", "bucket", "k", "http://127.0.0.1:9000/bucket/k"),
        ("https://store.example/s3/", "r", "bucket", "//k", "https://store.example/s3/bucket///k"),
        ("http://[::1]:9000", "r", "bucket", "ü?#%~+", "http://[::1]:9000/bucket/%C3%BC%3F%23%25~%2B"),
    ],
)
def test_addresses(endpoint: str, region: str, bucket: str, key: str, url: str) -> None:
    script = Script((200, {"ETag": '"e"'}, b""))
    script.client(endpoint, region).client.put_object(bucket, key, b"x")
    assert script.sent[0][:2] == ("PUT", url)
    assert f"/{region}/s3/aws4_request" in script.sent[0][2]["authorization"]


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_what_is_sent_is_covered_by_a_digest(is_encrypted: bool) -> None:
    """TLS protects the signature's request as a whole; the checksum says that the store has what was read here."""
    script = Script((200, {"ETag": '"e"'}, b""))
    entry = script.client("https://store.example" if is_encrypted else "http://store.example").put(URI, b"content")
    assert (entry.size, entry.version) == (7, '"e"')
    headers = script.sent[0][2]
    if is_encrypted:
        checksum = b64encode(zlib.crc32(b"content").to_bytes(4, "big")).decode()
        assert (headers["x-amz-content-sha256"], headers["x-amz-checksum-crc32"]) == (UNSIGNED, checksum)
        assert "x-amz-checksum-crc32" in headers["authorization"]
    else:
        assert headers["x-amz-content-sha256"] == sha256(b"content").hexdigest()


@pytest.mark.parametrize(
    "answer",
    [
        (301, {"x-amz-bucket-region": "eu-central-1"}, error("PermanentRedirect")),
        (400, {}, error("AuthorizationHeaderMalformed", more="<Region>eu-central-1</Region>")),
        (400, {"x-amz-bucket-region": "eu-central-1"}, error("IllegalLocationConstraintException")),
        (307, {"x-amz-bucket-region": "eu-central-1"}, error("TemporaryRedirect")),
        (403, {"x-amz-bucket-region": "eu-central-1"}, b""),
    ],
)
def test_a_bucket_of_another_region_is_found_once(answer: tuple[int, Mapping[str, str], bytes]) -> None:
    script = Script(answer, (200, {}, b"x"), (200, {}, b"x"))
    storage = script.client("")
    for _ in range(2):
        storage.fetch(URI, 0, 1, None)
    assert [url.partition("/key")[0] for _, url, _, _ in script.sent] == [
        "https://bucket.s3.us-east-1.amazonaws.com",
        *["https://bucket.s3.eu-central-1.amazonaws.com"] * 2,
    ]
    assert "/eu-central-1/s3/" in script.sent[-1][2]["authorization"]


def test_a_region_that_does_not_help_is_not_tried_for_ever() -> None:
    script = Script(*[(400, {"x-amz-bucket-region": "us-east-1"}, error("Odd", "no"))] * 2)
    with pytest.raises(AlgoError, match="no"), store_errors(URI):
        script.client().fetch(URI, 0, 1, None)
    assert len(script.sent) == 1


@pytest.mark.parametrize(
    ("status", "body", "expected", "message"),
    [
        (403, error("AccessDenied", "not for you"), PermissionDenied, "not for you"),
        (403, error("SignatureDoesNotMatch", "wrong secret"), AuthError, "wrong secret"),
        (400, error("ExpiredToken", "The token has expired"), AuthError, "has expired"),
        (404, error("NoSuchKey"), NotFoundError, "s3://bucket/key does not exist"),
        (500, error("InternalError", "oh"), PlatformError, "oh"),
        (503, b"<html>busy</html>", PlatformError, "503"),
        (200, error("InternalError", "it went wrong after all"), PlatformError, "after all"),
        (200, b"hello", PlatformError, "did not return a valid S3 response"),
        (200, b"", PlatformError, "did not return a valid S3 response"),
        (
            200,
            b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
            PlatformError,
            "invalid listing",
        ),
        (200, b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", PlatformError, "is incomplete"),
    ],
)
def test_failures_of_a_listing(status: int, body: bytes, expected: type[AlgoError], message: str) -> None:
    script = Script((status, {}, body))
    with pytest.raises(expected, match=message), store_errors(URI):
        list(script.client().pages(URI, "bucket", ""))


def test_an_upload_that_fails_at_its_end_is_a_failure() -> None:
    started = b"<InitiateMultipartUploadResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><UploadId>u&amp;1</UploadId></InitiateMultipartUploadResult>"
    script = Script((200, {}, started), (200, {"ETag": '"1"'}, b""), (200, {}, error("InternalError", "lost it")))
    upload = script.client().begin(URI, None)
    upload.part(0, 0, b"x")
    with pytest.raises(PlatformError, match="lost it"), store_errors(URI):
        upload.finish(1)
    assert script.sent[1][1].endswith("?partNumber=1&uploadId=u%261")
    assert b'<PartNumber>1</PartNumber><ETag>"1"</ETag>' in script.sent[2][3]


COPIED = DataUri("s3", "bucket/copy")
LISTED = Entry(URI, Kind.FILE, size=3, version='"e"')


def copied(etag: str) -> tuple[int, Mapping[str, str], bytes]:
    return 200, {}, f"<CopyObjectResult><ETag>{etag}</ETag></CopyObjectResult>".encode()


def test_a_copy_within_the_store_is_one_request() -> None:
    script, seen = Script(copied('"e"')), list[int]()
    listed = LISTED._replace(uri=DataUri("s3", "other/ä b+%/.../c"))
    entry = script.client().copy_within(listed.uri, COPIED, listed, seen.append)
    assert entry == Entry(COPIED, Kind.FILE, size=3, version='"e"')
    ((method, url, headers, body),) = script.sent
    assert (method, url, body) == ("PUT", "http://127.0.0.1:9/bucket/copy", b"")
    assert headers["x-amz-copy-source"] == "/other/%C3%A4%20b%2B%25/.../c"
    assert headers["x-amz-copy-source-if-match"] == '"e"'
    assert "x-amz-copy-source;x-amz-copy-source-if-match" in headers["authorization"]
    assert seen == [3]


@pytest.mark.parametrize(
    "answer", [(501, {}, error("NotImplemented")), (405, {}, error("MethodNotAllowed")), (405, {}, b"")]
)
def test_a_store_that_cannot_copy_is_told_apart(answer: tuple[int, Mapping[str, str], bytes]) -> None:
    assert Script(answer).client().copy_within(URI, COPIED, LISTED, lambda done: None) is None


@pytest.mark.parametrize(
    ("answers", "expected", "message"),
    [
        ([(200, {}, error("InternalError", "lost it"))], PlatformError, "lost it"),
        ([(403, {}, error("AccessDenied", "not for you"))], PermissionDenied, "not for you"),
        ([(404, {}, error("NoSuchKey")), (404, {}, b""), (200, {}, b"<ListBucketResult/>")], NotFoundError, "bucket/key"),
        ([(404, {}, error("NoSuchBucket")), (200, {"ETag": '"e"'}, b"")], NotFoundError, "bucket/copy"),
        ([copied('"x"'), (200, {"ETag": '"x"'}, b"12"), (200, {"ETag": '"e"'}, b"123")], PlatformError, "2 bytes"),
    ],
)  # fmt: skip
def test_copies_within_the_store_that_fail(
    answers: list[tuple[int, Mapping[str, str], bytes]], expected: type[AlgoError], message: str
) -> None:
    with pytest.raises(expected, match=message):
        Script(*answers).client().copy_within(URI, COPIED, LISTED, lambda done: None)


def test_a_copy_within_the_store_of_a_file_that_changes_all_the_time_is_left_to_reading() -> None:
    changing = [answer for _ in range(3) for answer in ((412, {}, error("PreconditionFailed")), (200, {"ETag": '"f"'}, b"123"))]  # fmt: skip
    script = Script(*changing)
    assert script.client().copy_within(URI, COPIED, LISTED, lambda done: None) is None
    assert script.sent[2][2]["x-amz-copy-source-if-match"] == '"f"'


def test_a_range_that_a_store_ignores() -> None:
    script = Script(*[(200, {"ETag": '"e"'}, b"0123456789")] * 2)
    storage = script.client()
    entry, content = storage.fetch(URI, 3, 6, None)
    assert (entry.size, content) == (10, b"345")
    with pytest.raises(AlgoError, match="ends before"):
        storage.fetch(URI, 10, 12, None)


@pytest.mark.parametrize("ignores_ranges", [False, True])
def test_a_stream_is_exactly_what_was_asked_for(ignores_ranges: bool) -> None:
    headers = {"ETag": '"e"', **({} if ignores_ranges else {"Content-Range": "bytes 3-9/10"})}
    script = Script((200 if ignores_ranges else 206, headers, b"0123456789"[0 if ignores_ranges else 3 :]))
    reader = script.client().open(URI, 3)
    assert (reader.offset, reader.entry.size) == (3, 10)
    buffer = bytearray(20)
    assert buffer[: reader.readinto(buffer)] == b"3456789"
    assert reader.readinto(buffer) == 0
    assert script.sent[0][2]["range"] == "bytes=3-"


def read_by_threes(script: Script) -> bytes:
    reader, buffer, found = script.client().open(URI), bytearray(3), b""
    assert reader.entry.size == 10
    while count := reader.readinto(buffer):
        found += buffer[:count]
    return found


BEGINNING = (206, {"ETag": '"e"', "Content-Range": "bytes 0-3/10"}, b"0123")


@pytest.mark.parametrize(
    ("answers", "ranges"),
    [
        ([BEGINNING, (206, {"ETag": '"e"', "Content-Range": "bytes 4-9/10"}, b"456789")], ["0-3", "4-"]),
        ([BEGINNING, (200, {"ETag": '"e"'}, b"0123456789")], ["0-3", "4-"]),
        ([(200, {"ETag": '"e"'}, b"0123456789")], ["0-3"]),
    ],
    ids=["two ranges", "a range, and everything", "everything"],
)
def test_a_stream_begins_with_a_range(monkeypatch: pytest.MonkeyPatch, answers: list[Any], ranges: list[str]) -> None:
    monkeypatch.setattr("algo_connectors.common.direct.FIRST", 4)
    script = Script(*answers)
    assert read_by_threes(script) == b"0123456789"
    assert [headers["range"] for _, _, headers, _ in script.sent] == [f"bytes={each}" for each in ranges]
    assert [headers.get("if-match") for _, _, headers, _ in script.sent] == [None, '"e"'][: len(ranges)]


@pytest.mark.parametrize(
    "answer",
    [
        (412, {}, error("PreconditionFailed")),
        (416, {}, error("InvalidRange")),
        (206, {"ETag": '"f"', "Content-Range": "bytes 4-9/10"}, b"456789"),
        (206, {"ETag": '"e"', "Content-Range": "bytes 4-10/11"}, b"456789x"),
        (206, {"Content-Range": "bytes 4-9/10"}, b"456789"),
    ],
)
def test_a_stream_is_of_one_version(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    monkeypatch.setattr("algo_connectors.common.direct.FIRST", 4)
    with pytest.raises(NetworkError, match="was changed while it was read"):
        read_by_threes(Script(BEGINNING, answer))


def test_a_stream_that_is_cut_off_fails() -> None:
    headers = {"Content-Range": "bytes 0-9/10", "Content-Length": "10", "ETag": '"e"'}
    reader = Script((206, headers, b"01234")).client().open(URI)
    assert reader.readinto(bytearray(20)) == 5
    with pytest.raises(NetworkError, match="5 bytes too early"):
        reader.readinto(bytearray(20))


@pytest.mark.parametrize(
    ("more", "is_checked"),
    [
        ({"ETag": '"9a0364b9e99bb480dd25e1f0284c8555"'}, True),
        ({"ETag": '"9a0364b9e99bb480dd25e1f0284c8555-2"'}, False),
        ({"ETag": '"opaque"'}, False),
        ({"ETag": '"9a0364b9e99bb480dd25e1f0284c8555"', "x-amz-server-side-encryption": "aws:kms"}, False),
        ({"ETag": '"9a0364b9e99bb480dd25e1f0284c8555"', "x-amz-server-side-encryption": "AES256"}, True),
    ],
)
def test_the_content_of_a_small_file_is_compared_with_its_md5(more: dict[str, str], is_checked: bool) -> None:
    found = Script((206, {"Content-Range": "bytes 0-6/7", **more}, b"content")).client().read_small(URI, 100)
    assert found
    assert found[0].checksum == (Checksum("md5", "9a0364b9e99bb480dd25e1f0284c8555") if is_checked else None)


def test_content_that_ends_early_is_a_network_error() -> None:
    headers = {"Content-Range": "bytes 0-9/10", "Content-Length": "10"}
    with pytest.raises(NetworkError, match="broke"):
        Script((206, headers, b"01234")).client().fetch(URI, 0, 10, None)


def test_the_credential_is_asked_for_each_request() -> None:
    """A temporary one may have been renewed meanwhile."""
    renewed = iter([Keys("A", "s", "first"), Keys("A", "s", "second"), None])
    script = Script(*[(200, {}, b"x")] * 3)
    storage = script.client(keys=lambda: next(renewed))
    for _ in range(3):
        storage.head(URI, "bucket", "key")
    assert [headers.get("x-amz-security-token") for _, _, headers, _ in script.sent] == ["first", "second", None]
    assert "authorization" not in script.sent[2][2]
    assert script.sent[0][2]["x-amz-content-sha256"] == NO_CONTENT


def test_a_credential_that_runs_out_in_the_middle_is_looked_for_again() -> None:
    """Once: the request is sent again with another one, or fails."""
    keys = [Keys("A", "s", "old")]
    script = Script((200, {}, b"x"), (400, {}, error("ExpiredToken")), (200, {}, b"x"))
    connect: Any = lambda origin: script  # noqa: E731 - of another type

    def renewed(expired: Keys) -> bool:
        assert expired.token == "old"
        keys[0] = Keys("A", "s", "new")
        return True

    client = DirectS3Client(Target("http://127.0.0.1:9", "r"), lambda: keys[0], connect, renewed)
    client.get_object("bucket", "key", 0, 1, None)
    client.put_object("bucket", "key", b"content")
    assert [headers["x-amz-security-token"] for _, _, headers, _ in script.sent] == ["old", "old", "new"]
    assert script.sent[2][3] == b"content"
    script.answers = [(400, {}, error("ExpiredToken", "over"))] * 2
    keys[0] = Keys("A", "s", "old")
    with pytest.raises(AuthError, match="over") as caught, store_errors(URI):
        client.get_object("bucket", "key", 0, 1, None)
    assert "Log in again" in str(caught.value.hint)
    assert script.answers == []


def test_a_wrong_clock_is_told_by_the_store() -> None:
    then = 1_700_000_000
    skewed = 403, {"Date": formatdate(then, usegmt=True)}, error("RequestTimeTooSkewed", "too far apart")
    script = Script(skewed, (200, {}, b"x"), (200, {}, b"x"), skewed)
    storage = script.client()
    for _ in range(2):
        storage.fetch(URI, 0, 1, None)
    assert [headers["x-amz-date"][:8] == "20231114" for _, _, headers, _ in script.sent] == [False, True, True]
    with pytest.raises(AuthError, match="too far apart") as caught:
        storage.read_small(URI, 1)
    assert "clock" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("status", "code", "expected", "hint"),
    [
        (403, "InvalidAccessKeyId", AuthError, "access_key_id in [connectors.s3]"),
        (403, "SignatureDoesNotMatch", AuthError, "secret_access_key in [connectors.s3]"),
        (403, "AccessDenied", PermissionDenied, "must allow"),
        (403, "RequestTimeTooSkewed", AuthError, "clock"),
        (403, "InvalidObjectState", RequestRefused, "restore"),
        (400, "ExpiredToken", AuthError, "Log in again"),
        (400, "KeyTooLongError", RequestRefused, "1,024 bytes"),
        (400, "RequestTimeout", TimedOut, "Try again"),
        (400, "BadDigest", NetworkError, "damaged"),
        (301, "PermanentRedirect", ConfigError, "region"),
        (404, "NoSuchBucket", NotFoundError, "algo ls s3://"),
        (409, "OperationAborted", PlatformError, "try again"),
        (503, "SlowDown", PlatformError, "--max-transfers"),
    ],
)
def test_codes_of_the_store(status: int, code: str, expected: type[AlgoError], hint: str) -> None:
    """Whatever is asked for: a HEAD, whose answer has no body, is explained by a GET."""
    answer = status, {}, error(code, "as the store says")
    for attempt in (
        lambda storage: storage.fetch(URI, 0, 1, None),
        lambda storage: storage.put(URI, b"x"),
        lambda storage: next(storage.pages(URI, "bucket", "")),
        lambda storage: storage.delete("bucket", ["a", "b"]),
        *([lambda storage: storage.head(URI, "bucket", "key")] if status in {301, 400, 403} else []),
    ):
        with pytest.raises(expected) as caught, store_errors(URI):
            attempt(Script(answer, answer).client())
        assert type(caught.value) is not AlgoError
        assert hint in str(caught.value.hint)
        assert str(caught.value).count("s3://bucket/key") == 1


def test_a_link_is_for_the_region_of_its_bucket() -> None:
    moved = 301, {"x-amz-bucket-region": "eu-central-1"}, b""
    script = Script(moved, (200, {}, b""), (200, {}, b""), (200, {}, b""))
    storage = script.client("", keys=lambda: Keys("A", "s", "token"))
    link = storage.link(DataUri("s3", "bucket/ä b+"), 3600)
    assert link.method == "GET"
    assert link.url.startswith("https://bucket.s3.eu-central-1.amazonaws.com/%C3%A4%20b%2B?X-Amz-Algorithm=")
    assert "&X-Amz-Expires=3600&X-Amz-Security-Token=token&" in link.url


@pytest.mark.parametrize(("seconds", "anonymous"), [(LONGEST + 1, False), (60, True)])
def test_links_that_cannot_be(seconds: int, anonymous: bool) -> None:
    storage = Script(*[(200, {}, b"")] * 2).client(keys=lambda: None if anonymous else KEYS)
    with pytest.raises(AuthError if anonymous else UsageError, match="anon" if anonymous else "at most 7 days"):
        storage.link(URI, seconds)


def test_keys_that_xml_needs_escaped(tmp_path: Path) -> None:
    keys = ["a&b", "<tag>", 'quote"', "ü", "new\nline"]
    listed = "".join(
        f"<Contents><Key>{key}</Key><Size>1</Size><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
        for key in ("a%26b", "new%0Aline", "a+b")
    )
    page = f"<ListBucketResult><EncodingType>url</EncodingType>{listed}</ListBucketResult>"
    script = Script((200, {}, b"<DeleteResult/>"), (200, {}, page.encode()))
    client = script.client().client
    assert client.delete_objects("bucket", keys) == {}
    assert script.sent[0][3].count(b"<Key>") == len(keys)
    assert b"a&amp;b" in script.sent[0][3]
    assert [key for key, _ in client.list_objects("bucket", "").objects] == ["a&b", "new\nline", "a b"]


def test_many_keys_are_deleted_as_they_are_written(seaweed: Store) -> None:
    """XML has no control characters, and takes a carriage return for a line's end, that is for another key."""
    storage, prefix = seaweed.open(), f"delete-{uuid.uuid4().hex}/"
    assert isinstance(storage, S3Storage)
    kept, deleted = ["a\n", "b", "c\x01 "], ["a\r", "b\x01", "c\x01", "d\t", "e&<>\"'", "ü"]
    for name in kept + deleted:
        storage.write_small(seaweed.uri(f"{prefix}{name}"), b"x")
    storage.delete("bucket", [f"{prefix}{name}" for name in deleted])
    left = storage.client.list_objects("bucket", prefix).objects
    assert sorted(key.removeprefix(prefix) for key, _ in left) == sorted(kept)


def test_what_could_not_be_deleted_is_named() -> None:
    answer = b"<DeleteResult><Error><Key>b</Key><Message>locked</Message></Error></DeleteResult>"
    with pytest.raises(AlgoError, match="bucket/b was not removed: locked"):
        Script((200, {}, answer)).client().delete("bucket", ["a", "b"])


@pytest.fixture
def no_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Nothing of AWS on this machine."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.mark.parametrize(
    ("options", "environ", "expected"),
    [
        ({"key": "A", "secret": "s"}, {}, ("", "us-east-1", Keys("A", "s"))),
        (
            {"access_key_id": "A", "secret_access_key": "s", "session_token": "t", "region": "r"},
            {},
            ("", "r", Keys("A", "s", "t")),
        ),
        ({"anon": True, "endpoint_url": "http://h:1/"}, {}, ("http://h:1", "us-east-1", None)),
        ({}, {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"}, ("", "us-east-1", Keys("A", "s"))),
        (
            {},
            {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t", "AWS_REGION": "r"},
            ("", "r", Keys("A", "s", "t")),
        ),
        (
            {"key": "A", "secret": "s"},
            {"AWS_ENDPOINT_URL_S3": "http://e", "AWS_DEFAULT_REGION": "d"},
            ("http://e", "d", Keys("A", "s")),
        ),
    ],
)
def test_settings(
    no_machine: pytest.MonkeyPatch,
    options: dict[str, Any],
    environ: dict[str, str],
    expected: tuple[str, str, Keys | None],
) -> None:
    for name, value in environ.items():
        no_machine.setenv(name, value)
    storage: Any = open_store("s3", options)
    client = storage.client
    assert isinstance(client, DirectS3Client)
    assert (*client._target, client._keys()) == expected


def test_the_files_of_the_aws_tools(no_machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile work]\nregion = eu-north-1\nendpoint_url = http://work.example\n")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = W\naws_secret_access_key = s\n")
    no_machine.setenv("AWS_PROFILE", "work")
    no_machine.setenv("AWS_ACCESS_KEY_ID", "other")
    no_machine.setenv("AWS_SECRET_ACCESS_KEY", "other")
    client: Any = open_store("s3", {}).client  # type: ignore[attr-defined]  # an S3Storage
    assert client._target == Target("http://work.example", "eu-north-1")
    assert client._keys().access in {"W", "other"}  # the order of botocore decides
    no_machine.setenv("AWS_PROFILE", "typo")
    with pytest.raises(ConfigError, match="typo"):
        open_store("s3", {})


def test_a_credential_that_a_tool_has_renewed_meanwhile_is_found(
    no_machine: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever logs in again while a long run goes on need not start it again."""
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = A\naws_secret_access_key = s\naws_session_token = old\n")
    client: Any = open_store("s3", {"endpoint_url": "http://127.0.0.1:9"}).client  # type: ignore[attr-defined]
    script = Script((400, {}, error("ExpiredToken")), (400, {}, error("ExpiredToken")), (200, {}, b"x"))
    client._connect = lambda origin: script
    with pytest.raises(AuthError, match="as the store says"), store_errors(URI):
        client.get_object("bucket", "key", 0, 1, None)
    file.write_text(file.read_text().replace("old", "new"))
    client.get_object("bucket", "key", 0, 1, None)
    assert [headers["x-amz-security-token"] for _, _, headers, _ in script.sent] == ["old", "old", "new"]


def test_without_any_credential_it_is_said_how_to_give_one(no_machine: pytest.MonkeyPatch) -> None:
    storage = open_store("s3", {"endpoint_url": "http://127.0.0.1:9"})
    with pytest.raises(AuthError, match="No credential") as caught:
        storage.stat(URI)
    assert "[connectors.s3]" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": "A"}, "both key and secret"),
        ({"endpoint_url": "store.example"}, "no usable endpoint_url"),
        ({"client": "boto"}, "client must be one of direct, s3fs"),
        ({"client": "direct", "requester_pays": True}, "no option requester_pays"),
        ({"endpoint_ur": "http://x"}, "did you mean 'endpoint_url'"),
    ],
)
def test_wrong_options(no_machine: pytest.MonkeyPatch, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_store("s3", {"key": "A", "secret": "s", **options} if "key" not in options else options)


@pytest.mark.parametrize("options", [{"client": "s3fs"}, {"requester_pays": True}, {"client_kwargs.region_name": "r"}])
def test_options_of_s3fs_choose_it(no_machine: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    storage: Any = open_store("s3", {"key": "A", "secret": "s", **options})
    assert isinstance(storage.client, S3fsClient)
