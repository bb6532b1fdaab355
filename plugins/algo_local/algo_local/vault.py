"""Encrypts secrets with a key file next to the database, readable for its user only.

A copy of the database alone reveals no secrets. The key is created on first use.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from algo_core.errors import PlatformError
from algo_core.files import replacing

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_FILE = "secrets.key"


class Vault:
    """Encrypts and decrypts texts for the platform of one directory."""

    def __init__(self, root: Path) -> None:
        self._path = root / KEY_FILE
        self._cipher: Fernet | None = None

    def encrypt(self, text: str) -> bytes:
        """The encrypted form of a text. PlatformError if the key cannot be used."""
        return self._opened().encrypt(text.encode("utf-8"))

    def decrypt(self, data: bytes) -> str:
        """The text of an encrypted form. PlatformError if it was made with another key."""
        from cryptography.fernet import InvalidToken

        try:
            return self._opened().decrypt(data).decode("utf-8")
        except InvalidToken:
            raise PlatformError(
                f"A secret cannot be decrypted: {self._path} is not the key that encrypted it",
                "Restore the file from a copy, or set the secrets again",
            ) from None

    def derive(self, purpose: str) -> str:
        """A secret for a purpose, always the same one, that reveals nothing of the key. PlatformError as above."""
        import hashlib
        import hmac

        self._opened()
        return hmac.new(self._path.read_bytes(), purpose.encode("utf-8"), hashlib.sha256).hexdigest()

    def _opened(self) -> Fernet:
        if self._cipher is None:
            from cryptography.fernet import Fernet

            try:
                self._cipher = Fernet(self._key(Fernet.generate_key))
            except (OSError, ValueError) as error:
                raise PlatformError(
                    f"The key {self._path} cannot be used: {getattr(error, 'strerror', None) or error}",
                    "Restore the file from a copy, or move it away and set the secrets anew",
                ) from error
        return self._cipher

    def _key(self, make: object) -> bytes:
        """The key; a new one is created atomically, and the first of several processes wins."""
        assert callable(make)
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (
                contextlib.suppress(FileExistsError),
                replacing(self._path, mode=0o600, durable=True, only_if_new=True) as file,
            ):
                file.write(make())
        return self._path.read_bytes()
