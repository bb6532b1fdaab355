"""What a served platform says of its state directory; what it says of a database server: test_database_stops.py."""

from __future__ import annotations

from algo_local.platform import Platform
from algo_local.serving.monitoring import Monitoring
from algo_local.web.http import Request

ONLY_ON_SQLITE = True


def test_a_platform_whose_database_is_broken_is_not_healthy(platform: Platform) -> None:
    assert platform.account
    platform.close()
    (platform.root / "platform.sqlite3").write_bytes(b"x" * 4096)
    for suffix in ("-wal", "-shm"):
        (platform.root / f"platform.sqlite3{suffix}").unlink(missing_ok=True)
    answer = Monitoring(platform).answer(Request("GET", "/healthz", {}))
    assert answer
    assert answer.status == 503
