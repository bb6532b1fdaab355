"""The secrets of algorithms: encrypted where they lie, and never shown again (API section 6.6)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from support.world import World, publish

from algo_core.errors import PlatformError
from algo_local.maintenance import renew_key
from algo_local.platform import Platform
from algo_local.state import KEY_FILE, State

PATH = "algorithms/alice/Algo/secrets"
VALUE = "correct horse battery staple"
NEW = {"short_name": "db", "description": " ", "secret_key": "DB_PASSWORD", "secret_value": VALUE}


def test_a_secret_is_listed_without_its_value(fresh: Callable[[], World]) -> None:
    world = fresh()
    provider = world.ask("GET", "secret-provider", "alice").json[0]["id"]
    made = world.ask(
        "POST", PATH, "alice", {**NEW, "owner_type": "algorithm", "owner_id": "x", "provider_id": provider}
    )
    assert made.status == 200
    listed = world.ask("GET", PATH, "alice")
    assert listed.json["results"] == listed.json["secrets"]
    assert made.json in listed.json["results"]
    assert [found["secret_key"] for found in listed.json["results"]] == ["DB_PASSWORD", "MINE"]
    assert VALUE.encode() not in made.body + listed.body
    by_id = world.ask("GET", f"algorithms/{world.values['algorithmId']}/secrets", "alice")
    assert by_id.json == listed.json


def test_nothing_on_the_disk_has_a_value_in_it(fresh: Callable[[], World]) -> None:
    world = fresh()
    world.ask("POST", PATH, "alice", NEW)
    listener = {
        "algoName": "Algo",
        "algoOwner": "alice",
        "credentials": VALUE,
        "sourceType": "AzureSB",
        "sourceURI": "x",
    }
    assert world.ask("POST", "users/alice/event-listeners", "alice", listener).json["credentials"] == "********"
    world.platform.close()
    for path in world.platform.root.rglob("*"):
        assert not path.is_file() or VALUE.encode() not in path.read_bytes(), path
    key = world.platform.root / KEY_FILE
    assert key.stat().st_mode & 0o777 == 0o600


def test_values_are_what_was_set(fresh: Callable[[], World]) -> None:
    world = fresh()
    made = world.ask("POST", PATH, "alice", NEW).json
    identifier = world.values["algorithmId"]
    assert world.platform.secrets.environment(identifier) == {"DB_PASSWORD": VALUE, "MINE": "hidden"}
    path = f"{PATH}/{made['id']}"
    changed = world.ask("PUT", path, "alice", {"short_name": "other", "secret_key": "DB"}).json
    assert (changed["short_name"], changed["secret_key"], changed["created"]) == ("other", "DB", made["created"])
    assert world.ask("PUT", path, "alice", {"secret_value": "ünï\n\U0001f511"}).status == 200
    assert world.platform.secrets.environment(identifier)["DB"] == "ünï\n\U0001f511"
    assert world.ask("DELETE", path, "alice").status == 204
    assert world.platform.secrets.environment(identifier) == {"MINE": "hidden"}
    for method in ("PUT", "DELETE"):
        answer = world.ask(method, path, "alice", {"short_name": "x"})
        assert (answer.status, answer.error["code"]) == (404, 8008)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"secret_key": "MINE"}, 409, 8001),
        ({"secret_key": "ALGORITHMIA_API_KEY"}, 400, 8001),
        ({"secret_key": "Path"}, 400, 8001),
        ({"secret_key": "LD_PRELOAD"}, 400, 8001),
        ({"secret_key": "A=B"}, 400, 8000),
        ({"secret_key": ""}, 400, 8000),
        ({"secret_value": ""}, 400, 8000),
        ({"secret_value": None}, 400, 8000),
        ({"secret_value": "x" * 70_000}, 400, 8000),
        ({"provider_id": "00000000-0000-0000-0000-000000000000"}, 404, 8006),
    ],
)
def test_what_cannot_be_a_secret(world: World, changes: dict[str, Any], status: int, code: int) -> None:
    answer = world.ask("POST", PATH, "alice", {**NEW, **changes})
    assert (answer.status, answer.error["code"]) == (status, code)


def test_secrets_of_another_algorithm_are_not_reached(world: World) -> None:
    for method in ("PUT", "DELETE"):
        path = f"algorithms/alice/Secret/secrets/{world.values['secretId']}"
        assert world.ask(method, path, "alice", {"secret_value": "x"}).status == 404


def test_without_its_key_a_secret_is_lost_and_that_is_said(fresh: Callable[[], World]) -> None:
    world = fresh()
    key = world.platform.root / KEY_FILE
    key.rename(key.with_name("aside"))
    world.platform.close()
    renew_key(world.platform.state)
    with closing(Platform(world.platform.state)) as other, pytest.raises(PlatformError, match="is not the key"):
        other.secrets.environment(world.values["algorithmId"])


def test_processes_that_make_the_key_at_once_agree(root: Any) -> None:
    import subprocess
    import sys

    code = "from algo_local.platform import Platform; from algo_local.state import State; print(Platform(State.of()).webhook_secret('x'))"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(5)]
    said = {process.communicate()[0].strip() for process in started}
    with closing(Platform(State.of())) as platform:
        assert said == {platform.webhook_secret("x")}


def test_processes_find_secrets_in_their_environment_and_others_do_not(
    fresh: Callable[[], World], tmp_path: Any
) -> None:
    world = fresh()
    code = "import os\n\ndef apply(names):\n    return [os.environ.get(name) for name in names]\n"
    for reference in ("alice/Reads", "alice/Other"):
        publish(world.platform, tmp_path, reference, public=True, code=code)

    def seen(reference: str, caller: str = "alice") -> Any:
        return world.ask("POST", f"algo/{reference}", caller, ["DB_PASSWORD", "MINE"]).json["result"]

    assert seen("alice/Reads") == [None, None]
    made = world.ask("POST", "algorithms/alice/Reads/secrets", "alice", NEW).json
    assert seen("alice/Reads") == seen("alice/Reads", "bob") == [VALUE, None]
    assert seen("alice/Other") == [None, None]
    path = f"algorithms/alice/Reads/secrets/{made['id']}"
    world.ask("PUT", path, "alice", {"secret_value": "ünï = 'quoted'\n"})
    assert seen("alice/Reads") == ["ünï = 'quoted'\n", None]
    world.ask("DELETE", path, "alice")
    assert seen("alice/Reads") == [None, None]


def test_a_secret_changes_nothing_that_the_platform_sets(fresh: Callable[[], World], tmp_path: Any) -> None:
    world = fresh()
    code = "import os\n\ndef apply(name):\n    return os.environ.get(name)\n"
    publish(world.platform, tmp_path, "alice/Reads", public=True, code=code)
    algorithm = world.platform.registry.algorithm("alice", "Reads")
    assert algorithm
    for name in ("ssl_cert_file", "http_proxy", "lang"):
        assert world.ask("POST", "algorithms/alice/Reads/secrets", "alice", {**NEW, "secret_key": name}).status in {
            200,
            400,
        }
    assert world.ask("POST", "algo/alice/Reads", "alice", "LANG").json["result"] == "C.UTF-8"
    assert world.ask("POST", "algo/alice/Reads", "alice", "ALGORITHMIA_API_KEY").json["result"].startswith("sim")
