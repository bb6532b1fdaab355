"""Every operation, asked as it is meant to be: it answers with its documented status and shape, or with its refusal.

An operation that needs a body has its example here; a new one without fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jsonschema
import pytest
from support.world import BASIC, ECHO, World, archive, every_operation, rank

from algo_local.web.handlers.refused import REFUSALS
from algo_local.web.openapi import document, documented_paths
from algo_local.web.operations import OPERATIONS, Operation, Who


class Example(NamedTuple):
    """How an operation is asked: its body, other values for names in its path, its query."""

    body: Any = None
    values: Mapping[str, str] = {}
    """Those that begin with `@` are values of the world under other names."""
    query: str = ""
    caller: str = ""
    after: str = ""
    """What is asked before it: a path, with POST."""


PERMISSIONS = {"allow_data": True, "allow_data_write": False, "allow_algo": True, "allow_web_algo": False,
               "allow_algo_management": False, "algo_acl": ["algo://alice/*"]}  # fmt: skip
ORGANIZATION = {"org_name": "acme", "org_label": "Acme", "org_contact_name": "Alice", "org_email": "a@acme.test",
                "type_id": BASIC, "external_admin_group": None}  # fmt: skip
SETTINGS = {"source_visibility": "closed", "license": "apl", "network_access": "full", "pipeline_enabled": True}
PROVIDER = {"name": "x", "description": "x", "moduleName": "x", "factoryClassName": "x", "interfaceVersion": "1",
            "isEnabled": True, "isDefault": False}  # fmt: skip
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
SPAN = "start_date=2021-01-01T00:00:00Z&end_date=2021-02-01T00:00:00Z&page_size=10"
LISTENER = {"algoName": "Algo", "algoOwner": "alice", "credentials": "arn", "sourceType": "AmazonSQS",
            "sourceURI": "https://queue.test/other"}  # fmt: skip

SCM_URLS = {"web": "http://other.test/git", "api": "", "ssh": ""}

EXAMPLES = {
    "callAlgorithm": Example("x"),
    "callAlgorithmFromPage": Example("x"),
    "reportInsights": Example([{"insight_key": "size", "insight_value": 1}]),
    "uploadData": Example(b"new"),
    "createDataDirectory": Example({"name": "robots"}, {"path*": ".my"}),
    "updateDataAcl": Example({"acl": {"read": []}}, {"path*": ".my/private"}),
    "uploadFile": Example(b"new"),
    "createDirectory": Example({"name": "robots"}, {"location*": "data/.my"}),
    "updateDirectoryAcl": Example({"acl": {"read": []}}, {"location*": "data/.my/private"}),
    "createAlgorithm": Example({"name": "New", "details": {"label": "New"}, "settings": SETTINGS}),
    "updateAlgorithm": Example(
        {"details": {"summary": "It echoes"}, "settings": {"license": "mit", "source_visibility": "open"}}
    ),
    "commitLogForRepository": Example(caller="alice"),
    "downloadSource": Example(caller="alice"),
    "deleteAlgorithm": Example(values={"algorithm": "alice/Secret"}),
    "publishAlgorithm": Example({"version_info": {"version_type": "revision"}}, after="algorithms/alice/Algo/compile"),
    "uploadSource": Example(archive({"src/Algo.py": ECHO}), query="message=First"),
    "RepublishAlgorithm": Example({"registry_id": "x"}),
    "receiveScmRepositoryEvent": Example({}),
    "createAlgorithmSecret": Example({"short_name": "db", "description": " ", "secret_key": "DB", "secret_value": "x"}),
    "editAlgorithmSecret": Example({"secret_value": "other"}),
    "createConnectorForUserById": Example(
        {
            "username": "alice",
            "label": "other",
            "protocol": "s3",
            "cred_type": "iam",
            "cred_data": {"access_key_id": "x", "secret_access_key": "y"},
        }
    ),
    "updateConnector": Example({"writeable": True, "path": "bucket/*"}),
    "createUser": Example({"username": "zoe", "email": "zoe@x.test", "fullname": "Zoe", "shouldCreateHello": False}),
    "updateUser": Example({"email": "alice@x.test", "company_name": "Acme"}),
    "deleteUser": Example(values={"username": "bob"}),
    "createKeyForUser": Example({"key_label": "new", "key_type": "AlgorithmKey", "permissions": PERMISSIONS}),
    "updateKey": Example({"key_label": "other", "expires_at": "2199-01-01T00:00:00Z"}),
    "getUserNotifications": Example(query="event_types=version_published&limit=5&since=2021-01-01T00:00:00Z"),
    "createSchedule": Example({"algorithm": "alice/Algo/1.0.0", "cron": "*/5 * * * *", "input": {"a": [1]}}),
    "createIncomingWebhook": Example({"algorithm": "alice/Algo/1.0.0"}),
    "receiveWebhook": Example({"event": "push"}),
    "postEventListenersForUserById": Example(LISTENER),
    "updateEventListenerForUserById": Example({"algoVersion": "1.0.0"}),
    "acceptInvite": Example({"username": "yan", "email": "yan@x.test"}),
    "createOrganization": Example({**ORGANIZATION, "org_name": "other"}),
    "edit": Example({**ORGANIZATION, "org_label": "ACME"}),
    "deleteOrganization": Example(caller="administrator"),
    "addOrganizationMember": Example({"role": "owner"}, caller="alice"),
    "addOrganizationApiKey": Example({"key_type": "AlgorithmKey", "key_label": "hers"}),
    "updateOrganizationKey": Example({"permissions": {"allow_data": False}}, {"keyId": "@orgKeyId"}),
    "deleteOrganizationKey": Example(values={"keyId": "@orgKeyId"}),
    "rotateOrganizationKey": Example(values={"keyId": "@orgKeyId"}),
    "createKeyForOrganization": Example({"key_label": "ours", "permissions": PERMISSIONS}),
    "setHostUsernames": Example({"updates": []}),
    "create": Example({"name": "trial"}),
    "toggleFeatureFlag": Example({"enabled": False}),
    "addInvite": Example({"inviteCode": "code-for-zoe", "signupCredits": 5, "expiresAt": "2199-01-01T00:00:00"}),
    "createReservation": Example(
        {
            "username": "alice",
            "algoname": "Algo",
            "calling_user": "bob",
            "version_type": "semantic_version",
            "version_identifier": "1.0.0",
            "num_slots": 2,
        }
    ),
    "getFullUsage": Example(query=SPAN),
    "getAlgorithmUsageResult": Example(query=SPAN),
    "getUserUsageResult": Example(query=SPAN),
    "importApiKey": Example({"key_label": "known", "key_type": "AlgorithmKey", "api_key": "sim" + "k" * 25}),
    "createSecretProvider": Example(PROVIDER),
    "updateProvider": Example(PROVIDER),
    "updateConnection": Example({"connection_type": "webhook", "broker_url": "https://insights.test/", "topic": "x"}),
    "update": Example({"org_id": BASIC, "host_username": "x", "host_user_id": "x"}),
    "createOrganizationHostInformation": Example({"host_username": "x", "host_user_id": "x"}),
    "createScm": Example({"provider": "github", "urls": SCM_URLS}),
    "updateScm": Example({"enabled": True, "urls": SCM_URLS}, {"scmId": "@outerScmId"}),
    "deleteScm": Example(values={"scmId": "@outerScmId"}),
    "addScmConnection": Example({"username": "jane", "password": "x"}, {"scmId": "@outerScmId"}),
    "scmTokenStatus": Example(values={"scmId": "@outerScmId"}),
    "createRegistry": Example({"registry_url": "x"}),
    "updateRegistry": Example({"registry_url": "x"}),
    "updateConfigEntry": Example({"value": "Other"}),
    "updateFavicon": Example(PNG),
    "updateLogo": Example(PNG),
}

REFUSED_HERE = {
    "reportInsights": (403, 2001),
    "getReadme": (404, 2015),
    "receiveScmRepositoryEvent": (400, 4012),
}
"""What is refused for the one source host and the one provider of secrets that there are, an algorithm without README, and
insights that are not an algorithm's."""


def caller_for(operation: Operation) -> str:
    """The one with the fewest rights who may do it."""
    if chosen := EXAMPLES.get(operation.id, Example()).caller:
        return chosen
    callers = ("nobody", "bob", "mia", "alice", "administrator")
    fitting = [caller for caller in callers if rank(caller, operation) >= operation.access.who]
    others = {
        "data": "alice",
        "connector": "alice",
        "requests": fitting[0] if operation.id == "listRequests" else "alice",
    }
    return others.get(operation.path.partition("/")[0], fitting[0])


def asked(world: World, operation: Operation) -> Any:
    example = EXAMPLES.get(operation.id, Example())
    query = f"?{example.query}" if example.query else ""
    if example.after:
        assert world.ask("POST", example.after, caller_for(operation)).status == 200
    return world.ask(operation.method, path_of(world, operation) + query, caller_for(operation), example.body)


def path_of(world: World, operation: Operation) -> str:
    given = EXAMPLES.get(operation.id, Example()).values
    values = {name: world.values[value[1:]] if value[0] == "@" else value for name, value in given.items()}
    return world.path(operation, **values)


@every_operation()
def test_it_answers_as_documented_or_is_refused(world_for: Callable[[Operation], World], operation: Operation) -> None:
    answer = asked(world_for(operation), operation)
    if refusal := REFUSALS.get(operation.id):
        assert (answer.status, answer.error) == (refusal.status, {"code": refusal.code, "message": refusal.reason})
    elif operation.id in REFUSED_HERE:
        assert (answer.status, answer.error["code"]) == REFUSED_HERE[operation.id]
    else:
        assert answer.status == operation.status, answer.body
    if answer.headers.get("Content-Type") == "application/json" and answer.body:
        check(operation, answer.status, answer.json)


NONSENSE = (b"", b"{", b"[]", b"null", b'"x"', b'{"a": NaN}', b"[" * 100_000, b'{"name": "\\ud800"}', b"\xff")


@pytest.mark.parametrize(
    "operation", [found for found in OPERATIONS if found.request], ids=lambda found: f"{found.method}-{found.id}"
)
def test_bodies_that_make_no_sense_are_refused(world: World, operation: Operation) -> None:
    if operation.request in {"Input", "File"} or operation.id in REFUSALS or operation.id in REFUSED_HERE:
        return
    caller = caller_for(operation) if operation.access.who != Who.ANYONE else "nobody"
    for body in NONSENSE:
        if body == b"" and operation.request.endswith("?"):
            continue
        if body == b'"x"' and operation.request == "CreateDirectoryRequest":
            continue  # a bare name, as a client sends it
        answer = world.ask(operation.method, path_of(world, operation), caller, body)
        assert answer.status == 400, (body[:20], answer.body)
        check(operation, answer.status, answer.json)


def test_every_code_of_a_refusal_is_one_of_the_platforms() -> None:
    from algo_local.error_codes import error_codes

    assert {refusal.code for refusal in REFUSALS.values()} <= set(error_codes().values())
    assert set(REFUSALS) == {found.id for found in OPERATIONS if ":refuse" in found.handler}
    assert set(EXAMPLES) <= {found.id for found in OPERATIONS}


def check(operation: Operation, status: int, body: Any) -> None:
    """See that a JSON body has the shape that is documented for it."""
    path = next(path for path in document()["paths"] if anonymous(path) == anonymous(documented_paths(operation)[0]))
    responses = document()["paths"][path][operation.method.lower()]["responses"]
    content = responses.get(str(status), responses["default"])["content"]
    schema = {**content["application/json"]["schema"], "components": document()["components"]}
    jsonschema.validate(body, schema, format_checker=jsonschema.FormatChecker())


def anonymous(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path)
