"""Credentials at rest: encrypted with Fernet, or refused."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from bankimport.errors import InvalidSettings, MissingExtra


class Vault:
    """Encrypts and decrypts. `key` is one Fernet key or several, comma-separated: the first encrypts, all decrypt."""

    def __init__(self, key: str | None, environment: Literal["production", "development"]) -> None:
        self._fernet: Any = _fernet([part.strip() for part in key.split(",")]) if key else None
        self._production = environment == "production"

    def close(self, credentials: Mapping[str, Any] | None) -> str | None:
        """Return the text to store.

        Raises:
            InvalidSettings: there is no key, and this is production.
        """
        if credentials is None:
            return None
        text = json.dumps(credentials)
        if self._fernet is not None:
            token: bytes = self._fernet.encrypt(text.encode())
            return f"fernet:{token.decode()}"
        if self._production:
            raise InvalidSettings("BANK_SYNC_CREDENTIALS_KEY: credentials are stored in production only with a key")
        return f"plain:{text}"

    def open(self, stored: str | None) -> Mapping[str, Any] | None:
        """Return the credentials of a stored text.

        Raises:
            InvalidSettings: they are encrypted with another key, or with one and none is set.
        """
        if stored is None:
            return None
        how, _, text = stored.partition(":")
        if how == "fernet":
            if self._fernet is None:
                raise InvalidSettings("BANK_SYNC_CREDENTIALS_KEY: the stored credentials need the key")
            text = self._decrypted(text)
        loaded: Mapping[str, Any] = json.loads(text)
        return loaded

    def _decrypted(self, token: str) -> str:
        from cryptography.fernet import InvalidToken

        try:
            opened: bytes = self._fernet.decrypt(token.encode())
        except InvalidToken:
            raise InvalidSettings("BANK_SYNC_CREDENTIALS_KEY: is not the key of the stored credentials") from None
        return opened.decode()


def _fernet(keys: Sequence[str]) -> Any:
    try:
        from cryptography.fernet import Fernet, MultiFernet
    except ModuleNotFoundError:
        raise MissingExtra("sql", "the encryption of credentials") from None
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise InvalidSettings("BANK_SYNC_CREDENTIALS_KEY: 32 bytes in URL-safe base64 are needed") from None
