"""Our application's word at Enable Banking: a JWT that is signed anew before it ends."""

from datetime import datetime, timedelta
from typing import Any, Final

from bankimport.errors import InvalidSettings, MissingExtra

_LIFE: Final = timedelta(hours=1)  # theirs is at most 24 hours
#: so long before its end a token is no longer used, and so long ago it says that it was made: clocks differ
_SKEW: Final = timedelta(minutes=5)


class ApplicationToken:
    """Makes and keeps the token.

    Raises:
        InvalidSettings: the key is no RSA key in PEM.
        MissingExtra: the extra isn't installed.
    """

    def __init__(self, application_id: str, key: str) -> None:
        self._application_id = application_id
        self._key = _rsa_key(key)
        self._token = ""
        self._until: datetime | None = None

    def at(self, now: datetime) -> str:
        """Return a token that is good at this instant."""
        if self._until is None or now >= self._until:
            import jwt

            began = now - _SKEW
            claims = {
                "iss": "enablebanking.com",
                "aud": "api.enablebanking.com",
                "iat": int(began.timestamp()),
                "exp": int((began + _LIFE).timestamp()),
            }
            self._token = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._application_id})
            self._until = began + _LIFE - _SKEW
        return self._token


def _rsa_key(text: str) -> Any:
    try:
        import jwt  # noqa: F401  # with `cryptography`, which it needs for RS256
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise MissingExtra("enable-banking", "a bank of type enable-banking") from None
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError):
        raise InvalidSettings("private_key: it is no RSA key in PEM, or has a password") from None
    if not isinstance(key, RSAPrivateKey):
        raise InvalidSettings("private_key: it is no RSA key in PEM, or has a password")
    return key
