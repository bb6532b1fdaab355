"""Notifications of calls that have ended: signed, retried over restarts, and sent nowhere they must not go."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from support.receiver import Receiver
from support.sandbox import wait_until

from algo_core.errors import ConfigError, RequestRefused
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.webhooks import deliverer, target
from algo_local.webhooks.limits import sends_to_private_addresses
from algo_local.webhooks.rows import claim
from algo_local.webhooks.sending import signature

ON_BOTH_DATABASES = True

ECHO = """
    def apply(input):
        if input == "fail":
            raise ValueError("asked to fail")
        return input * 70_000 if input == "large" else {"v": input}
"""
INSIDE = """
    import os, urllib.error, urllib.request

    def apply(input):
        address = f"{os.environ['ALGORITHMIA_API']}/v1/algo/demo/Hello?output=void&notify={input}"
        request = urllib.request.Request(address, b"x", {"Authorization": os.environ["ALGORITHMIA_API_KEY"]})
        try:
            return urllib.request.urlopen(request).status
        except urllib.error.HTTPError as error:
            return error.code
"""


@pytest.fixture
def echo_name(publish: Callable[..., None]) -> str:
    publish("jane/Echo", ECHO)
    return "jane/Echo"


def ask(client: Any, name: str, body: bytes = b"x", **query: str) -> Any:
    return client.run(f"{name}?{urlencode(query)}", body)


def call(client: Any, name: str, url: str, body: bytes = b"x", **query: str) -> str:
    made = ask(client, name, body, output="void", notify=url, **query)
    assert made.status_code == 200, made.text
    assert made.json()["notify"] == url
    return str(made.json()["request_id"])


def notification(client: Any, identifier: str) -> dict[str, Any]:
    found: dict[str, Any] = client("GET", f"requests/{identifier}").json()["notification"]
    return found


def settled(client: Any, identifier: str) -> dict[str, Any]:
    wait_until(lambda: notification(client, identifier)["state"] != "waiting")
    return notification(client, identifier)


def test_a_finished_call_is_posted_once_signed_with_the_accounts_secret(
    account: Any, echo_name: str, receiver: Receiver
) -> None:
    jane, bob = account("jane"), account("bob")
    identifier = call(jane, echo_name, f"{receiver.address}/hook?token=1")
    found = settled(jane, identifier)
    assert (found["state"], found["attempts"], found["last_error"]) == ("delivered", 1, None)
    ((path, headers, body),) = receiver.seen
    assert path == "/hook?token=1"
    told = json.loads(body)
    assert (told["request_id"], told["state"], told["algorithm"]) == (identifier, "done", "jane/Echo")
    assert told["link"] == f"{jane.address}/v1/requests/{identifier}"
    assert "output" not in told
    assert None not in (told["started_at"], told["finished_at"], told["duration"])
    secret = jane("GET", "webhook-secret").json()["secret"]
    assert secret != bob("GET", "webhook-secret").json()["secret"]
    assert receiver.is_signed(headers, body, secret)


def test_failures_are_told_and_small_results_on_request(client: Any, echo_name: str, receiver: Receiver) -> None:
    for body, query in ((b"fail", {}), (b"ok", {"notify_output": "true"}), (b"large", {"notify_output": "true"})):
        settled(client, call(client, echo_name, receiver.address, body, **query))
    failed, small, large = (json.loads(body) for _, _, body in receiver.seen)
    assert (failed["state"], failed["failure"]["message"]) == ("failed", "asked to fail")
    assert small["output"] == {"content_type": "json", "result": {"v": "ok"}}
    assert (large["state"], "output" in large) == ("done", False)


def test_attempts_are_repeated_a_bounded_number_of_times(
    embedded: Any, echo_name: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliverer, "DELAYS", (0.0,) * 3)
    receiver.status = lambda: 500 if len(receiver.seen) < 3 else 200
    found = settled(embedded, call(embedded, echo_name, receiver.address))
    assert (found["state"], found["attempts"], len(receiver.seen)) == ("delivered", 3, 3)
    assert len({body for _, _, body in receiver.seen}) == 1
    receiver.status = lambda: 500
    found = settled(embedded, call(embedded, echo_name, receiver.address))
    assert (found["state"], found["attempts"]) == ("failed", 4)
    assert found["last_error"] == "127.0.0.1 answered with status 500"
    receiver.status = lambda: 410
    found = settled(embedded, call(embedded, echo_name, receiver.address))
    assert (found["state"], found["attempts"]) == ("failed", 1)


def test_redirects_are_not_followed(embedded: Any, echo_name: str, receiver: Receiver, monkeypatch: Any) -> None:
    monkeypatch.setattr(deliverer, "DELAYS", ())
    receiver.status = lambda: 302
    found = settled(embedded, call(embedded, echo_name, f"{receiver.address}/a"))
    assert "redirects are not followed" in found["last_error"]
    assert [path for path, _, _ in receiver.seen] == ["/a"]


def test_what_did_not_arrive_is_sent_by_the_next_platform(
    platform: Platform, embedded: Any, echo_name: str, receiver: Receiver
) -> None:
    receiver.status = lambda: 503
    identifier = call(embedded, echo_name, receiver.address)
    wait_until(lambda: notification(embedded, identifier)["last_error"])
    found = notification(embedded, identifier)
    assert (found["state"], found["attempts"]) == ("waiting", 1)
    assert found["next_attempt_at"]
    platform.wait_for_background()
    with platform.database.write() as rows:
        rows.execute("UPDATE request_webhooks SET due_at = 0")
    receiver.status = lambda: 200
    again = open_platform(platform.state)
    again.webhooks.start()
    assert settled(embedded, identifier)["attempts"] == 2
    again.close()


def test_an_attempt_is_that_of_one_process_and_of_another_a_minute_after_its_death(
    platform: Platform, embedded: Any, echo_name: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliverer, "DELAYS", (3600.0,) * 7)
    receiver.status = lambda: 503
    identifier = call(embedded, echo_name, receiver.address)
    wait_until(lambda: notification(embedded, identifier)["last_error"])
    with platform.database.write() as rows:
        now = platform.records.now()
        rows.execute("UPDATE request_webhooks SET due_at = ?", (now,))
        later = [claim(rows, now + seconds, deliverer.LEASE_SECONDS, 8) for seconds in (0, 0, 59, 61, 62)]
        assert [[webhook.attempts for webhook in found] for found in later] == [[2], [], [], [3], []]


def test_a_lost_call_is_told_as_lost(platform: Platform, embedded: Any, echo_name: str, receiver: Receiver) -> None:
    """The platform died with the call under way: the next one says so."""
    receiver.status = lambda: 503
    identifier = call(embedded, echo_name, receiver.address)
    platform.wait_for_background()
    with platform.database.write() as rows:
        rows.execute("UPDATE requests SET state = 'running', platform = 'dead'")
        rows.execute("UPDATE request_webhooks SET due_at = 0, state = 'waiting'")
    receiver.status, receiver.seen = (lambda: 200), []
    platform.webhooks.start()
    settled(embedded, identifier)
    assert json.loads(receiver.seen[0][2])["state"] == "lost"


def test_a_platform_for_others_sends_nothing_to_its_own_network(
    platform: Platform, embedded: Any, echo_name: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliverer, "DELAYS", ())
    platform.is_public = True
    port = receiver.server.server_address[1]
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433", "0.0.0.0"):
        found = settled(embedded, call(embedded, echo_name, f"http://{host}:{port}/"))
        assert found["state"] == "failed", host
    assert receiver.seen == []
    monkeypatch.setenv("ALGO_LOCAL_NOTIFY_PRIVATE", "on")
    assert settled(embedded, call(embedded, echo_name, receiver.address))["state"] == "delivered"


@pytest.mark.parametrize(
    ("address", "when_local"),
    [
        ("127.0.0.1", True), ("10.1.2.3", True), ("192.168.0.1", True), ("100.64.0.1", True), ("::1", True),
        ("fd00::1", True), ("fec0::1", True), ("::ffff:10.0.0.1", True), ("64:ff9b::a00:1", True),
        ("2002:7f00:1::", True), ("240.0.0.1", True),
        ("169.254.169.254", False), ("fe80::1", False), ("::ffff:169.254.169.254", False), ("0.0.0.0", False),
        ("::", False), ("224.0.0.1", False), ("ff02::1", False), ("64:ff9b::a9fe:a9fe", False),
        ("255.255.255.255", True),
    ],
)  # fmt: skip
def test_private_addresses_are_for_platforms_of_one_machine_and_some_for_none(address: str, when_local: bool) -> None:
    number = ipaddress.ip_address(address)
    assert not target.is_permitted(number, allow_private=False)
    assert target.is_permitted(number, allow_private=True) == when_local


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_for_all(address: str) -> None:
    assert target.is_permitted(ipaddress.ip_address(address), allow_private=False)


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://a.test/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "http://", "http:///path",
     "http://user@a.test/", "http://user:word@a.test/", "http://a.test:0/", "http://a.test:99999/",
     "http://a.test/#part", "http://a.test/\r\nX: y", "http://a b.test/", "http://ä.test/", "http://[::1", "//a.test/",
     "http://a.test/" + "x" * 2048],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str, embedded: Any) -> None:
    with pytest.raises(RequestRefused):
        target.parse(url)
    made = ask(embedded, "demo/Hello", output="void", notify=url)
    assert made.status_code == 400


def test_parts_of_addresses() -> None:
    assert target.parse("HTTPS://A.test") == (True, "a.test", 443, "/")
    assert target.parse("http://[::1]:81/p?q=1").authority == "[::1]:81"
    assert target.parse("http://a.test:80/x").authority == "a.test"


def test_who_may_not_ask(embedded: Any, publish: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    publish("jane/Inside", INSIDE)
    assert embedded.run("jane/Inside", receiver.address.encode()).json()["result"] == 403
    for query, status in (({}, 400), ({"output": "raw"}, 400)):
        assert ask(embedded, "demo/Hello", notify=receiver.address, **query).status_code == status
    monkeypatch.setattr(deliverer, "MOST_WAITING", 0)
    full = ask(embedded, "demo/Hello", notify=receiver.address, output="void")
    assert full.status_code == 429
    assert receiver.seen == []


def test_what_is_not_recorded_has_no_notification_and_what_is_forgotten_leaves_none(
    embedded: Any, platform: Platform, echo_name: str, receiver: Receiver
) -> None:
    settled(embedded, call(embedded, echo_name, receiver.address))
    platform.records.forget_account(platform.account)
    with platform.database.read() as rows:
        assert rows.execute("SELECT count(*) FROM request_webhooks").fetchone() == (0,)
    algorithm = platform.registry.algorithm("jane", "echo")
    assert algorithm
    with platform.database.write() as rows:
        rows.execute("UPDATE algorithms SET request_records = 'none'")
    refused = ask(embedded, echo_name, notify=receiver.address, output="void")
    assert (refused.status_code, "not recorded" in refused.text) == (400, True)


def test_the_algorithms_owner_does_not_see_where_others_are_notified(
    account: Any, echo_name: str, receiver: Receiver
) -> None:
    bob, jane = account("bob"), account("jane")
    identifier = call(bob, echo_name, receiver.address)
    assert settled(bob, identifier)["url"] == receiver.address
    assert "notification" not in jane("GET", f"requests/{identifier}").json()


def test_the_setting_and_the_signature() -> None:
    assert sends_to_private_addresses({}, is_public=False)
    assert not sends_to_private_addresses({}, is_public=True)
    assert not sends_to_private_addresses({"ALGO_LOCAL_NOTIFY_PRIVATE": "off"}, is_public=False)
    with pytest.raises(ConfigError, match="on or off"):
        sends_to_private_addresses({"ALGO_LOCAL_NOTIFY_PRIVATE": "maybe"}, is_public=True)
    assert signature("key", 1, b"{}") == (
        "t=1,v1=" + hmac.new(b"key", b"1.{}", hashlib.sha256).hexdigest()
    )  # fmt: skip
