"""A platform with some people's things on it, asked in this process as different callers.

`alice` has algorithms, data and all that an account can have, and owns the organization `acme`, of which `mia` is a
member and to which `ivan` is invited. `bob` is nobody's relative. `administrator` comes with an administrator's key.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from algo_local.algorithms import lifecycle
from algo_local.metadata.keys import ADMINISTRATOR_KEY, Permissions
from algo_local.opening import open_platform
from algo_local.platform import Platform
from algo_local.state import State
from algo_local.web.app import Application
from algo_local.web.http import FileBody, Request
from algo_local.web.operations import OPERATIONS, Operation, Who

ECHO = "def apply(input):\n    return input\n"
BASIC = "d0c85ea6-ddfa-11ea-a0c8-12a811be4db3"

RELATIONS = {
    "nobody": {},
    "stranger": {},
    "bob": {},
    "ivan": {"orgName": Who.INVITED},
    "mia": {"orgName": Who.MEMBER},
    "alice": dict.fromkeys(("algorithm", "reference*", "requestId", "username", "userId", "orgName"), Who.OWNER),
    "administrator": dict.fromkeys(
        ("algorithm", "reference*", "requestId", "username", "userId", "orgName", ""), Who.ADMINISTRATOR
    ),
}
"""What each caller is to what a path names, beyond being anybody with a key."""


@dataclass
class Answer:
    """A response, read."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]


@dataclass
class World:
    """A platform, the credentials of each caller (empty for none), and what stands for the names in paths."""

    platform: Platform
    keys: dict[str, str]
    values: dict[str, str]
    failures: list[str] = field(default_factory=list)
    copy_database: Callable[[str], str] = str
    """The URL of a copy of a database on a server, from its own."""

    def __post_init__(self) -> None:
        self.application = Application(self.platform, on_failure=self.failures.append)

    def copy(self, root: Path) -> World:
        """Another world that is as this one."""
        self.platform.close()
        shutil.copytree(self.platform.root, root, symlinks=True)
        metadata = self.platform.state.metadata
        state = State(root, metadata and self.copy_database(metadata))
        return replace(self, platform=open_platform(state), keys={**self.keys}, values={**self.values}, failures=[])

    def ask(self, method: str, path: str, caller: str, body: object = None, **headers: str) -> Answer:
        """The answer to a request of `/v1/PATH`."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/json", "host": "platform.test", **headers}
        if self.keys[caller]:
            sent["authorization"] = f"Simple {self.keys[caller]}"
        response = self.application.answer(Request(method, f"/v1/{path}", sent, io.BytesIO(data), len(data)))
        content = response.body.read() if isinstance(response.body, FileBody) else response.body
        if isinstance(response.body, FileBody):
            response.body.close()
        assert not self.failures, self.failures
        return Answer(response.status, content, response.headers)

    def path(self, operation: Operation, **values: str) -> str:
        """The path of an operation with alice's things, or others, in the place of its names."""
        path = "/".join(part.partition("|")[0] for part in operation.path.split("/"))
        for name, value in {**self.values, **values}.items():
            path = path.replace(f"{{{name}}}", value)
        assert "{" not in path, f"no value for a name in {path}"
        return path


def build_world(directory: Path, metadata: str | None = None) -> World:
    """Make the world, with its rows in a database on a server if its URL is given."""
    platform = open_platform(State(directory / "platform", metadata))
    keys = {"nobody": "", "stranger": "sim" + "x" * 25}
    for name in ("alice", "bob", "mia", "ivan"):
        keys[name] = platform.keys.create(platform.metadata.ensure_account(name), "test")[1]
    keys["administrator"] = platform.keys.create(platform.account, "test", kind=ADMINISTRATOR_KEY)[1]
    for name, permissions in {
        "reader": Permissions(allow_data=True),
        "writer": Permissions(allow_data=True, allow_data_write=True),
        "one algorithm": Permissions(allow_algo=True, algo_acl=("algo://alice/Algo/*",)),
        "page": Permissions(allow_web_algo=True, referer_host="page.test"),
        "manager": Permissions(allow_algo_management=True),
    }.items():
        keys[name] = platform.keys.create("alice", name, permissions=permissions)[1]
    platform.organizations.create(
        "acme",
        BASIC,
        {"org_label": "Acme", "org_contact_name": "Alice", "org_email": "alice@acme.test"},
        "elsewhere",
        ["alice"],
    )
    for name, role in (("mia", "member"), ("ivan", "invited")):
        platform.organizations.set_role("acme", platform.accounts.get(name), role)
    platform.organizations.create_type("spare")
    for reference, public in (("alice/Algo", True), ("alice/Secret", False), ("acme/Team", True), ("acme/Own", False)):
        publish(platform, directory / "source", reference, public=public)
    algorithm = platform.registry.algorithm("alice", "Algo")
    assert algorithm
    world = World(platform, keys, {})
    world.ask("POST", "data/.my", "alice", {"name": "private", "acl": {"read": []}})
    world.ask("PUT", "data/alice/private/f", "alice", b"secret", **{"content-type": "application/octet-stream"})
    (collection,) = platform.metadata.collection_records("alice")
    lifecycle.update(platform.registry, algorithm, {"default_collection": collection.id})
    platform.administration.add_invite("invited-one", "", 0, None, platform.account)
    platform.administration.set_entry("frontend/title", b"Acme", "text/plain")
    connection = {"connection_type": "webhook", "broker_url": "https://insights.test/", "topic": "insights"}
    world.ask("POST", "admin/insights-connection", "administrator", connection)
    listened = {"sourceType": "AmazonSQS", "sourceURI": "https://queue.test/q", "algoName": "Algo", "algoOwner": "alice",
                "algoVersion": "latest", "algoTimeoutSeconds": 10}  # fmt: skip
    world.values |= {
        "algorithm": "alice/Algo",
        "reference*": "alice/Algo",
        "path*": "alice/private/f",
        "location*": "data/alice/private/f",
        "username": "alice",
        "userId": platform.accounts.get("alice").id,
        "orgName": "acme",
        "member": "mia",
        "externalId": "elsewhere",
        "orgTypeName": "spare",
        "language": "python3",
        "specificationId": "0057588b-b42c-4454-a391-87b90f854116",
        "algohash": "1.0.0",
        "buildid": world.ask("GET", "algorithms/alice/Algo/builds", "alice").json["results"][0]["build_id"],
        "algorithmId": algorithm.id,
        "collectionId": collection.id,
        "connectorUuid": platform.connectors.add("alice", "s3+store", {"access_key_id": "x"}).id,
        "secretId": platform.secrets.create(algorithm.id, "mine", "", "MINE", "hidden").id,
        "keyId": str(platform.keys.of("alice")[0].id),
        "orgKeyId": str(platform.keys.create("acme", "ours")[0].id),
        "eventListenerId": str(platform.event_listeners.create("alice", listened, "arn").id),
        "scheduleId": platform.schedules.create("alice", "alice/Algo", "", "0 6 * * *", "UTC", ("text", "x")).id,
        "webhookId": platform.incoming_webhooks.create("alice", "alice/Algo", "")[0].id,
        "webhookToken": platform.incoming_webhooks.create("alice", "alice/Algo", "")[1],
        "invite_code": "invited-one",
        "reservation_id": platform.administration.reserve(algorithm.id, "bob", "latest", "", 2).id,
        "featureName": "web_calls",
        "keyname": "title",
        "scmId": "internal",
        "outerScmId": platform.scms.add(
            "github", "Elsewhere", {"web": "http://git.test", "api": "", "ssh": ""}, enabled=False
        ).id,
        "providerId": world.ask("GET", "secret-provider", "alice").json[0]["id"],
        "registryId": "none",
        "requestId": world.ask("POST", "algo/alice/Algo", "alice", "x").json["request_id"],
    }
    return world


def publish(
    platform: Platform, directory: Path, reference: str, *, public: bool, version: str = "1.0.0", code: str = ECHO
) -> None:
    owner, _, name = reference.partition("/")
    source = directory / owner / name
    (source / "src").mkdir(parents=True, exist_ok=True)
    (source / "src" / f"{name}.py").write_text(code)
    (source / "src" / "__init__.py").write_text("")
    platform.publish(source, owner, name, version, public=public)


def archive(files: Mapping[str, str | bytes], kind: str = "w:gz") -> bytes:
    """A tar file with files by their names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=kind) as made:  # type: ignore[call-overload]  # any of its modes
        for name, text in files.items():
            content = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def names_in(operation: Operation) -> list[str]:
    """The names in an operation's path."""
    return [part[1:-1] for part in operation.path.split("/") if part[0] == "{"]


def rank(caller: str, operation: Operation) -> Who:
    """What a caller is to what an operation's path names in the world."""
    if caller in {"nobody", "stranger"}:
        return Who.ANYONE
    names = names_in(operation)
    relations = RELATIONS[caller]
    found = relations.get(next((name for name in names if name in RELATIONS["alice"]), ""), Who.ACCOUNT)
    return max(found, Who.VIEWER) if {"algorithm", "reference*", "requestId"} & set(names) else found


def every_operation() -> Any:
    """All rows of the table, as parameters of a test."""
    return pytest.mark.parametrize("operation", OPERATIONS, ids=lambda found: f"{found.method}-{found.id}")
