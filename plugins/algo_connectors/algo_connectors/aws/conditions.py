"""Tests whether a store honours conditional writes: many S3-compatible stores ignore the headers."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import suppress

from algo_connectors.aws.direct_client import DirectS3Client
from algo_connectors.common.refusals import StoreRefusal
from algo_connectors.common.writing import Condition

UNMET = Condition('"00000000000000000000000000000000"')
"""A version that no object has."""


class ConditionProbe:
    """Asks each bucket once for each kind of condition, by a write whose condition cannot hold.

    AWS is not asked. What is written for it is an object of one byte beside the one that is to be written, under a name
    of its own, and is removed at once.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[str, bool, bool], bool] = {}
        self._lock = threading.Lock()

    def are_kept(self, client: DirectS3Client, bucket: str, key: str, *, creates: bool, in_parts: bool) -> bool:
        """Whether conditions hold for a write in one request and, with `in_parts`, in several.

        `creates`: that there is no object; else that it has a version. Raises what the store refuses otherwise.
        """
        if client.is_aws:
            return True
        with self._lock:
            return all(self._answer(client, bucket, key, creates, parts) for parts in {False, in_parts})

    def _answer(self, client: DirectS3Client, bucket: str, key: str, creates: bool, in_parts: bool) -> bool:
        kind = (bucket, creates, in_parts)
        if kind not in self._answers:
            name = f"{key[: key.rfind('/') + 1]}.algo-probe-{uuid.uuid4().hex}"
            self._answers[kind] = _probe(client, bucket, name, Condition(None) if creates else UNMET, in_parts)
        return self._answers[kind]


def _probe(client: DirectS3Client, bucket: str, key: str, condition: Condition, in_parts: bool) -> bool:
    write = _in_parts if in_parts else _at_once
    try:
        if condition.version is None:
            client.put_object(bucket, key, b"x")
        return _is_refused(lambda: write(client, bucket, key, condition))
    finally:
        with suppress(StoreRefusal):
            client.delete_objects(bucket, [key])


def _at_once(client: DirectS3Client, bucket: str, key: str, condition: Condition) -> None:
    client.put_object(bucket, key, b"x", condition)


def _in_parts(client: DirectS3Client, bucket: str, key: str, condition: Condition) -> None:
    upload = client.create_multipart_upload(bucket, key)
    try:
        etag = client.upload_part(bucket, key, upload, 1, b"x")
        client.complete_multipart_upload(bucket, key, upload, {1: etag}, condition)
    finally:
        with suppress(StoreRefusal, FileNotFoundError):
            client.abort_multipart_upload(bucket, key, upload)


def _is_refused(write: Callable[[], None]) -> bool:
    """Whether the condition is compared: 412, or 404 for the version of an object that is not there."""
    try:
        write()
    except FileNotFoundError:
        return True
    except StoreRefusal as refusal:
        if refusal.status == 412:
            return True
        if refusal.status in {400, 405, 501} and refusal.error_code in {"NotImplemented", "InvalidArgument", ""}:
            return False
        raise
    return False
