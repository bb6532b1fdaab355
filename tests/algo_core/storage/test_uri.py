import pytest

from algo_core.errors import UsageError
from algo_core.storage.uri import DataUri, parse_algorithm_ref, parse_data_uri


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data://.my/a/b.txt", DataUri("data", ".my/a/b.txt")),
        ("data:///.my/a", DataUri("data", ".my/a")),
        ("data://", DataUri("data", "")),
        ("DATA://x/y", DataUri("data", "x/y")),
        (".my/img_directory", DataUri("data", ".my/img_directory")),
        (".algo/dlib/FaceDetection/temp/x.png", DataUri("data", ".algo/dlib/FaceDetection/temp/x.png")),
        (".session/x", DataUri("data", ".session/x")),
        ("./.my/x", DataUri("file", "./.my/x")),
        (".mything/x", DataUri("file", ".mything/x")),
        ("friends.jpg", DataUri("file", "friends.jpg")),
        ("/tmp/x", DataUri("file", "/tmp/x")),
        ("file:///tmp/x", DataUri("file", "/tmp/x")),
        ("file://rel/x", DataUri("file", "rel/x")),
        ("s3://bucket/key", DataUri("s3", "bucket/key")),
        ("s3+label://bucket/key", DataUri("s3", "bucket/key", "label")),
        ("s3+label:/bucket", DataUri("s3", "bucket", "label")),
        ("C:/windows", DataUri("file", "C:/windows")),
        ("with:colon", DataUri("file", "with:colon")),
    ],
)
def test_data_uris_are_read_as_people_type_them(text: str, expected: DataUri) -> None:
    assert parse_data_uri(text) == expected


def test_a_bare_name_is_hosted_where_the_command_says_so() -> None:
    assert parse_data_uri("alice/pictures", bare="data") == DataUri("data", "alice/pictures")
    assert parse_data_uri("./pictures", bare="data").is_local
    assert parse_data_uri("/pictures", bare="data").is_local


@pytest.mark.parametrize("text", ["", "a\0b", "data+label://x"])
def test_what_is_no_path_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(UsageError):
        parse_data_uri(text)


def test_printing_and_parsing_are_inverse() -> None:
    for text in ("data://.my/a/b", "s3+x1://b/k", "data://", "./a/b", "/abs"):
        assert str(parse_data_uri(text)) == text


def test_children_parents_and_names() -> None:
    uri = parse_data_uri("data://.my/coll/")
    assert uri.names_directory
    assert uri.name == "coll"
    assert str(uri.child("x y")) == "data://.my/coll/x y"
    assert str(uri.parent) == "data://.my"
    assert str(parse_data_uri("data://").parent) == "data://"
    assert str(parse_data_uri("/x").parent) == "/"
    assert str(parse_data_uri("x").parent) == "."


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("demo/Hello", "demo/Hello"),
        ("algo://demo/Hello/1.0.0", "demo/Hello/1.0.0"),
        ("/demo/Hello", "demo/Hello"),
        ("demo/Hello/", "demo/Hello"),
        ("demo/Hello/1.2.*", "demo/Hello/1.2.*"),
        ("demo/Hello/1.x", "demo/Hello/1.x"),
        ("demo/Hello/10", "demo/Hello/10"),
        ("demo/Hello/latestPrivate", "demo/Hello/latestPrivate"),
        ("demo/Hello/" + "a" * 40, "demo/Hello/" + "a" * 40),
        ("12345678-1234-1234-1234-123456789012/1.0.0", "12345678-1234-1234-1234-123456789012/1.0.0"),
    ],
)
def test_algorithm_references(text: str, path: str) -> None:
    assert parse_algorithm_ref(text).path == path


@pytest.mark.parametrize(
    "text", ["", "Hello", "a/b/c/d", "a b/c", "demo/Hello/newest", "demo/Hello/" + "a" * 39, "../x"]
)
def test_what_is_no_algorithm_reference_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_algorithm_ref(text)
    assert caught.value.hint
