"""What algorithms report about their calls is kept, listed to its owners, and sent on (API section 3.10)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.receiver import Receiver
from support.sandbox import wait_until

from algo_local.metadata.keys import ADMINISTRATOR_KEY
from algo_local.platform import Platform

REPORTS = """
    import json, os, urllib.error, urllib.request

    def apply(input):
        address = os.environ["ALGORITHMIA_API"] + "/v1/insights"
        headers = {"Authorization": os.environ["ALGORITHMIA_API_KEY"], "Content-Type": "application/json"}
        statuses = []
        for report in input:
            try:
                request = urllib.request.Request(address, json.dumps(report).encode(), headers)
                statuses.append(urllib.request.urlopen(request).status)
            except urllib.error.HTTPError as error:
                statuses.append(error.code)
        return statuses
"""
PUBLISHED = """
    import Algorithmia.insights

    def apply(input):
        Algorithmia.insights.Insights(input)
        return input
"""
AS_INSTALLED = {
    "Algorithmia/__init__.py": "",
    "Algorithmia/insights.py": """
        import requests
        import json
        import os

        class Insights:
            def __init__(self, insights):
                headers = {}
                headers['Content-Type'] = 'application/json'
                AQR_URL = os.getenv('ALGORITHMIA_API') or "http://localhost:9000"
                insight_payload=[{"insight_key": key, "insight_value": insights[key]} for key in insights.keys()]

                requests.post(AQR_URL+"/v1/insights", data=json.dumps(insight_payload).encode('utf-8'), headers=headers)
    """,
    "requests.py": """
        import urllib.request

        def post(address, data, headers):
            return urllib.request.urlopen(urllib.request.Request(address, data, headers))
    """,
}
"""The module of the published client as it is, and of `requests` what it needs."""

BAD: list[Any] = [
    {"insight_key": "a", "insight_value": 1},
    "a",
    [1],
    [{"insight_key": "a"}],
    [{"insight_key": "", "insight_value": 1}],
    [{"insight_key": "a", "insight_value": None}],
    [{"insight_key": "a", "insight_value": {"a": 1}}],
    [{"insight_key": "request_id", "insight_value": "x"}],
    [{"insight_key": f"k{n}", "insight_value": n} for n in range(26)],
]


def said(**insights: Any) -> list[dict[str, Any]]:
    return [{"insight_key": name, "insight_value": value} for name, value in insights.items()]


def listed(client: Any, name: str, **query: str) -> list[dict[str, Any]]:
    answer = client("GET", f"algorithms/{name}/insights", params=query)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def report(client: Any, name: str, *reports: Any) -> Any:
    answer = client.run(name, json.dumps(reports), "application/json").json()
    assert "result" in answer, answer
    return answer


def test_they_are_kept_with_the_call_and_listed_to_its_owners(
    account: Any, publish: Callable[..., None], platform: Platform
) -> None:
    publish("jane/Reports", REPORTS)
    jane, bob = account("jane"), account("bob")
    first = report(bob, "jane/Reports", said(size=1.5, kind="ä"), said(size=2))
    assert first["result"] == [204, 204]
    report(jane, "jane/Reports")
    second = report(jane, "jane/Reports", said(ok=True))
    assert [(entry["request_id"], entry["insights"]) for entry in listed(jane, "jane/Reports")] == [
        (second["request_id"], said(ok=True)),
        (first["request_id"], [*said(size=1.5, kind="ä"), *said(size=2)]),
    ]
    entry = listed(jane, "jane/Reports")[1]
    told = (entry["algorithm_owner"], entry["algorithm_name"], entry["algorithm_version"])
    assert told == ("jane", "Reports", "1.0.0")
    assert entry["duration_milliseconds"] > 0
    page = jane("GET", "algorithms/jane/Reports/insights", params={"limit": "1"}).json()
    following = jane.session.get(page["next_link"]).json()
    assert [each["request_id"] for each in following["results"]] == [first["request_id"]]
    assert listed(jane, "jane/Reports", since="2199-01-01T00:00:00Z") == []
    shown = f"requests/{first['request_id']}"
    assert jane("GET", shown).json()["insights"] == entry["insights"]
    assert "insights" not in bob("GET", shown).json(), "the caller is not the algorithm's owner"
    assert bob("GET", "algorithms/jane/Reports/insights").status_code == 403
    platform.close()
    assert len(listed(jane, "jane/Reports")) == 2, "on record"


def test_the_published_client_reports_although_it_sends_no_key(embedded: Any, publish: Callable[..., None]) -> None:
    publish("jane/Published", PUBLISHED, **AS_INSTALLED)
    embedded.run("jane/Published", '{"rows": 3}', "application/json").json()
    assert [entry["insights"] for entry in listed(embedded, "jane/Published")] == [said(rows=3)]


def test_what_is_no_report_is_refused(embedded: Any, publish: Callable[..., None]) -> None:
    publish("jane/Reports", REPORTS)
    assert report(embedded, "jane/Reports", *BAD)["result"] == [400] * len(BAD)
    assert report(embedded, "jane/Reports", said(text="x" * 30_000))["result"] == [413]
    assert report(embedded, "jane/Reports", *[said(text="x" * 20_000)] * 4)["result"] == [204, 204, 204, 413]
    assert [len(entry["insights"]) for entry in listed(embedded, "jane/Reports")] == [3]


@pytest.mark.parametrize("way", ["version_info", "settings", "request_records"])
def test_who_wants_none_gets_none(embedded: Any, publish: Callable[..., None], way: str) -> None:
    publish("jane/Reports", REPORTS)
    if way == "request_records":
        embedded("PUT", "algorithms/jane/Reports", json={"settings": {"request_records": "none"}})
    else:
        embedded("DELETE", "algorithms/jane/Reports/versions/1.0.0")
        body = {way: {"insights_enabled": False}}
        made = embedded("POST", "algorithms/jane/Reports/versions", json=body).json()
        assert made["settings"]["insights_enabled"] is made["version_info"]["insights_enabled"] is False
    assert report(embedded, "jane/Reports/latestPrivate" if way != "request_records" else "jane/Reports", said(a=1))[
        "result"
    ] == [204]
    assert listed(embedded, "jane/Reports") == []


def test_they_are_sent_where_the_administrator_said(
    account: Any, publish: Callable[..., None], platform: Platform, receiver: Receiver
) -> None:
    publish("bob/Reports", REPORTS)
    bob, admin = account("bob"), account("jane")
    key = platform.keys.create("jane", "admin", kind=ADMINISTRATOR_KEY)[1]
    admin.session.headers["Authorization"] = key
    body = {"connection_type": "webhook", "broker_url": f"{receiver.address}/in", "topic": "models"}
    assert admin("GET", "admin/insights-connection").status_code == 404
    for wrong in ({"broker_url": "file:///etc/passwd"}, {"connection_type": "kafka_sasl_ssl"}):
        assert admin("POST", "admin/insights-connection", json={**body, **wrong}).status_code == 400
    made = admin("POST", "admin/insights-connection", json=body)
    assert made.status_code == 200, made.text
    assert admin("GET", "admin/insights-connection").json() == made.json() == {"id": made.json()["id"], **body}
    answer = report(bob, "bob/Reports", said(a=1), said(b="two"))
    wait_until(lambda: bool(receiver.seen))
    ((path, headers, content),) = receiver.seen
    told = json.loads(content)
    assert (path, told["topic"], told["request_id"]) == ("/in", "models", answer["request_id"])
    assert told["insights"] == [*said(a=1), *said(b="two")]
    assert receiver.is_signed(headers, content, platform.webhook_secret("jane"))
    assert "notification" not in bob("GET", f"requests/{answer['request_id']}").json(), "it has not asked for one"
    assert admin("DELETE", "admin/insights-connection").status_code == 204
    report(bob, "bob/Reports", said(a=2))
    assert len(listed(bob, "bob/Reports")) == 2
    assert len(receiver.seen) == 1
