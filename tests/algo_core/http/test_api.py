"""Every shape of error that the platform sends becomes a typed error with the server's own message (API section 2)."""

import pytest

from algo_core import errors
from algo_core.errors import ExitCode
from algo_core.http.api import ApiClient
from algo_core.http.client import HttpClient
from algo_core.settings.credentials import Credential, Secret
from algo_core.settings.profile import Profile


@pytest.fixture
def api(stub, monkeypatch) -> ApiClient:
    monkeypatch.setattr("algo_core.http.retry.FIRST_SECONDS", 0.0)
    profile = Profile("work", stub.address, credential=Credential("api_key", Secret("k")))
    return ApiClient(HttpClient(profile, timeout=(60, 60), retries=1))


@pytest.mark.parametrize(
    ("status", "kind", "exit_code"),
    [
        (400, errors.RequestRefused, ExitCode.FAILURE),
        (401, errors.AuthError, ExitCode.AUTHENTICATION),
        (403, errors.PermissionDenied, ExitCode.AUTHENTICATION),
        (404, errors.NotFoundError, ExitCode.NOT_FOUND),
        (409, errors.AlreadyExists, ExitCode.FAILURE),
        (415, errors.RequestRefused, ExitCode.FAILURE),
        (429, errors.RequestRefused, ExitCode.FAILURE),
        (500, errors.PlatformError, ExitCode.PLATFORM),
        (502, errors.PlatformError, ExitCode.PLATFORM),
        (503, errors.PlatformError, ExitCode.PLATFORM),
        (504, errors.PlatformError, ExitCode.PLATFORM),
        (507, errors.PlatformError, ExitCode.PLATFORM),
        (304, errors.PlatformError, ExitCode.PLATFORM),
    ],
)
@pytest.mark.parametrize("body", [True, False])
def test_statuses(status, kind, exit_code, body, api, stub) -> None:
    value = {"error": {"code": 1234, "message": "the reason"}}
    answer = stub.json_answer(value, status) if body and status != 304 else stub.answer(status)
    stub.on("GET", "/v1/x", answer)
    with pytest.raises(errors.AlgoError) as caught:
        api.request("GET", "x")
    assert type(caught.value) is kind
    assert caught.value.exit_code == exit_code
    expected = "the reason" if body and status != 304 else f"answered {status}"
    assert expected in caught.value.message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"error": {"id": "u", "code": 1000, "message": "nested"}}, "nested"),
        ({"id": "u", "code": 1000, "message": "flat"}, "flat"),
        ({"error": "No such algorithm"}, "No such algorithm"),
        ({"error": {"deleted": 3}}, "Only 3 files were deleted"),
        ({"error": {"deleted": 3, "message": "in use"}}, "in use"),
        ({"error": {"type": "SystemError", "message": "Method not allowed"}}, "Method not allowed"),
    ],
)
def test_shapes(value, message, api, stub) -> None:
    stub.on("GET", "/v1/x", stub.json_answer(value, 400))
    with pytest.raises(errors.RequestRefused) as caught:
        api.request("GET", "x")
    assert caught.value.message == message


@pytest.mark.parametrize("value", [None, [], "text", 3, {"error": None}, {"error": {"message": None}}, {"error": {}}])
def test_json_without_a_message_still_says_what_happened(value, api, stub) -> None:
    stub.on("GET", "/v1/x", stub.json_answer(value, 400))
    with pytest.raises(errors.RequestRefused, match="answered 400 Bad Request"):
        api.request("GET", "x")


def test_a_failing_head_has_its_message_in_a_header(api, stub) -> None:
    stub.on("HEAD", "/v1/x", stub.answer(404, b"", {"X-Error-Message": "data not found"}))
    with pytest.raises(errors.NotFoundError, match="data not found"):
        api.request("HEAD", "x")


def test_a_page_of_html_is_not_printed(api, stub) -> None:
    stub.on("GET", "/v1/x", stub.answer(502, b"<html>secret proxy</html>", {"Content-Type": "text/html"}))
    with pytest.raises(errors.PlatformError) as caught:
        api.request("GET", "x")
    assert "html" not in caught.value.message
    assert "502 Bad Gateway" in caught.value.message


def test_missing_credentials_with_status_200(api, stub) -> None:
    stub.on("GET", "/v1/x", stub.json_answer({"error": {"message": "authorization required"}}))
    with pytest.raises(errors.AuthError) as caught:
        api.get_json("x")
    assert "algo auth --profile work" in (caught.value.hint or "")


def test_other_errors_with_status_200(api, stub) -> None:
    stub.on("GET", "/v1/x", stub.json_answer({"error": {"message": "no such language"}}))
    with pytest.raises(errors.RequestRefused, match="no such language"):
        api.get_json("x")


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"{"])
def test_an_answer_that_is_not_json(body, api, stub) -> None:
    stub.on("GET", "/v1/x", stub.answer(200, body))
    with pytest.raises(errors.PlatformError, match="not JSON"):
        api.get_json("x")


@pytest.mark.parametrize(
    "value", [[], {}, {"folders": []}, {"folders": [3]}, {"folders": [{}]}, {"folders": [{"name": 3}]}]
)
def test_a_root_listing_without_an_account(value, api, stub) -> None:
    stub.on("GET", "/v1/data/", stub.json_answer(value))
    with pytest.raises(errors.PlatformError, match="the account's name"):
        api.username()


def test_gzip_that_lies(api, stub) -> None:
    stub.on("GET", "/v1/x", stub.answer(200, b"not gzip", {"Content-Encoding": "gzip"}))
    with pytest.raises(errors.PlatformError, match="does not match its Content-Encoding"):
        api.get_json("x")


def test_endless_redirects(api, stub) -> None:
    stub.on("GET", "/v1/x", stub.answer(302, b"", {"Location": "/v1/x"}))
    with pytest.raises(errors.PlatformError, match="redirects too many times"):
        api.request("GET", "x")


def test_every_error_class_has_a_documented_exit_code() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AlgoError)]
    assert len(kinds) > 10
    assert {kind.exit_code for kind in kinds} <= set(errors.EXIT_CODES)


@pytest.mark.parametrize("status", [301, 302, 303, 307])
def test_what_changes_something_is_never_redirected(api, stub, status) -> None:
    stub.on("PUT", "/v1/x", stub.answer(status, b"", {"Location": "/v1/y"}))
    stub.on("GET", "/v1/y", stub.answer(200))
    with pytest.raises(errors.PlatformError, match="with a redirect"):
        api.request("PUT", "x", body=b"x")
    assert [seen.method for seen in stub.seen] == ["PUT"]
