"""Signatures as Standard Webhooks has them: HMAC-SHA256 over the id, the time and the body."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bankimport.errors import InvalidRequest

PREFIX: Final = "whsec_"
_BYTES: Final = 32
#: what the specification allows
_FEWEST, _MOST = 24, 64


def new_secret() -> str:
    """Return a secret that nobody has seen."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Return the key of a secret.

    Raises:
        InvalidRequest: it is none; it is not quoted.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not _FEWEST <= len(key) <= _MOST:
        raise InvalidRequest("/secret", "must be whsec_ and 24 to 64 bytes in base64")
    return key


def sign(secrets_: Sequence[str], message_id: str, at: datetime, body: str) -> dict[str, str]:
    """Return the headers of a message: while a secret is being replaced there is a signature for each."""
    stamp = str(int(at.timestamp()))
    content = f"{message_id}.{stamp}.{body}".encode()
    digests = [hmac.new(key_of(secret), content, hashlib.sha256).digest() for secret in secrets_]
    signatures = " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": signatures}
