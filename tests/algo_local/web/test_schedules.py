"""Who may have what called at times that repeat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.world import World


@pytest.mark.parametrize(
    ("caller", "body", "status"),
    [
        ("alice", {"algorithm": "alice/Algo", "cron": "0 6 * * *"}, 201),
        ("alice", {"algorithm": "algo://alice/Algo/1.0.0", "cron": "0 6 * * *", "input": None}, 201),
        ("alice", {"algorithm": "alice/Algo/9.9.9", "cron": "0 6 * * *"}, 404),
        ("alice", {"algorithm": "acme/Nothing", "cron": "0 6 * * *"}, 404),
        ("alice", {"algorithm": "x", "cron": "0 6 * * *"}, 404),
        ("alice", {"algorithm": "alice/Algo", "cron": "never"}, 400),
        ("alice", {"algorithm": "alice/Algo", "cron": "0 6 * * *", "timezone": "Nowhere"}, 400),
        ("alice", {"algorithm": "alice/Algo"}, 400),
        ("manager", {"algorithm": "alice/Algo", "cron": "0 6 * * *"}, 403),
        ("one algorithm", {"algorithm": "alice/Algo", "cron": "0 6 * * *"}, 403),
        ("bob", {"algorithm": "alice/Algo", "cron": "0 6 * * *"}, 403),
        ("nobody", {"algorithm": "alice/Algo", "cron": "0 6 * * *"}, 401),
    ],
)
def test_who_may_schedule_what(fresh: Callable[[], World], caller: str, body: dict[str, Any], status: int) -> None:
    answer = fresh().ask("POST", "users/alice/schedules", caller, body)
    assert answer.status == status, answer.body
