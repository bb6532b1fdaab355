"""S3 over TLS, with a certificate of an authority that only `AWS_CA_BUNDLE` names, and a session's token."""

from __future__ import annotations

import io
import uuid
from pathlib import Path

import pytest
from support.stores import Store, s3_call

from algo_connectors.s3 import S3Storage
from algo_core.errors import ExitCode
from algo_core.storage.contract import Entry
from algo_core.testing import Home
from algo_core.testing.storage import read

LARGE = bytes(range(256)) * 2400


def test_everything_goes_over_tls(
    algo_home: Home, encrypted_s3: tuple[Store, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, authority = encrypted_s3
    algo_home.write_config(store.toml)
    refused = algo_home.run("ls", "s3://")
    assert (refused.code, refused.stdout) == (ExitCode.NETWORK, b"")
    assert "certificate" in refused.stderr

    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
    s3_call(store, "create_bucket", Bucket="bucket")
    storage, place = store.open(), store.uri(f"tls-{uuid.uuid4().hex}")
    assert isinstance(storage, S3Storage)
    storage.part_size = 262_144
    storage.copy_limit = storage.copy_part = 300_000
    storage.write(place.child("large"), io.BytesIO(LARGE), len(LARGE))
    storage.write_small(place.child("small"), b"small")
    assert storage.copy_within(place.child("large"), place.child("copy"), None, lambda done: None)
    assert read(storage, place.child("copy")) == LARGE
    sizes = {entry.name: entry.size for entry in storage.list(place)}
    assert sizes == {"large": len(LARGE), "copy": len(LARGE), "small": 5}
    pending = storage.start_read_small(place.child("small"), 100)
    found: Entry | object = pending and pending()
    assert isinstance(found, tuple)
    assert found[1] == b"small"

    algo_home.environ["AWS_CA_BUNDLE"] = str(authority)
    assert algo_home.run("ls", "s3://").text == "s3://bucket/\n"
    assert "X-Amz-Security-Token=a%20session%27s" in algo_home.run("share", str(place.child("small"))).text
