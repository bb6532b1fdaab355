"""Requests to Google Cloud Storage through gcsfs: for credentials and options that only it knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from algo_connectors.common.errors import Changed
from algo_connectors.common.options import ConnectorOptions
from algo_connectors.google.api import Parameters
from algo_connectors.google.signature import Signatory

OBJECT = "b/{}/o/{}"


def open_gcsfs(options: ConnectorOptions) -> GcsfsApi:
    """An API with the options of `gcsfs.GCSFileSystem`. ConfigError if they do not fit."""
    import logging

    from gcsfs import GCSFileSystem

    # It writes the traceback of each error that it raises as well.
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    return GcsfsApi(options.make(GCSFileSystem, takes_others=False, use_listings_cache=False, skip_instance_cache=True))


class GcsfsApi:
    """`GoogleApi` through gcsfs."""

    def __init__(self, files: Any) -> None:
        self._files = files
        self.location = files.base.removesuffix("/storage/v1/")
        self.project: str = files.project or ""

    def call(self, method: str, path: str, *names: str, **options: Any) -> Any:
        """One request; `names` fill the braces of the path, options that are None are left out."""
        filled = {name: value for name, value in options.items() if value is not None}
        try:
            return self._files.call(method, path, *names, **filled)
        except FileExistsError:  # how gcsfs puts 412
            raise Changed(f"{'/'.join(names)} was changed", "Copy it again") from None
        except OSError as error:
            if str(error).startswith("Forbidden"):
                raise PermissionError(str(error).partition("\n")[2] or "forbidden") from None
            raise

    def signatory(self) -> Signatory | None:  # noqa: D102
        from google.auth.credentials import Signing

        credential = self._files.credentials.credentials
        return Signatory(credential.signer_email, credential.sign_bytes) if isinstance(credential, Signing) else None

    def resource(self, method: str, path: str, *names: str, query: Parameters | None = None) -> Any:  # noqa: D102
        return self.call(method, path, *names, json_out=True, **(query or {}))

    def remove(self, path: str, *names: str) -> None:  # noqa: D102
        self.call("DELETE", path, *names)

    def media(  # noqa: D102
        self, bucket: str, key: str, start: int, stop: int, generation: str | None
    ) -> tuple[Mapping[str, str], bytes]:
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        address = f"{self.location}/download/storage/v1/{OBJECT}"
        found, content = self.call(
            "GET", address, bucket, key, alt="media", headers=headers, ifGenerationMatch=generation
        )
        return found, content

    def insert(self, bucket: str, query: Parameters, body: bytes, media_type: str) -> bytes:  # noqa: D102
        address = f"{self.location}/upload/storage/v1/b/{{}}/o"
        _, answer = self.call("POST", address, bucket, data=body, headers={"Content-Type": media_type}, **query)
        return bytes(answer)

    def begin_upload(self, bucket: str, query: Parameters, metadata: Mapping[str, str]) -> str:  # noqa: D102
        headers, _ = self.call(
            "POST",
            f"{self.location}/upload/storage/v1/b/{{}}/o",
            bucket,
            headers={"X-Upload-Content-Type": "application/octet-stream"},
            json=metadata,
            **query,
        )
        return str(headers["Location"])

    def send_part(self, address: str, content: bytes, content_range: str) -> tuple[Mapping[str, str], bytes]:  # noqa: D102
        headers, answer = self.call("PUT", address, data=content, headers={"Content-Range": content_range})
        return headers, bytes(answer)

    def cancel_upload(self, address: str, seconds: float) -> None:  # noqa: D102
        self.call("DELETE", address, timeout=seconds)
