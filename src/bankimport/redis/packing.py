"""Results packed for their record: a million finished jobs are kept for a week, and their texts are nearly alike.

A packed text is a byte of version, then raw deflate (RFC 1951) with a dictionary that both sides know. What a script
writes itself is plain JSON, and is read as such.
"""

import zlib
from collections.abc import Mapping
from typing import Any

from bankimport.json_text import short_json

#: What results are made of, the commonest last (RFC 1950 §2.3). A change needs a new version: old records are read on.
_WORDS = (
    b'"quarantineReasons":{"differs","failed","deferred","notDue","attendedOnly","unknown","error":"","errorCode":"'
    b'"removed":,"organisations":,"checked":,"ending":,"ended":,"renewed":,"unreadable":,"organisationsTold":'
    b'"refusedBefore":"","until":"2026-","balanceDifference":"","scope":"transactions","balances","accounts"'
    b'"isNew":true,"complete":false,"outcome":"notDue","success":false,"partial":true'
    b'"balanceCheck":"ok"},{"accountId":"acc_","outcome":"synced","isNew":false,"complete":true,"newTransactions":0,'
    b'"updatedTransactions":0,"removedTransactions":0,"quarantined":0,"window":{"since":"2026-'
    b'"},"balances":"synced","balanceCheck":"unknown"}],"balanceCheck":"unknown","deferred":[],"window":{"since":"2026-'
    b'{"connectionId":"","success":true,"partial":false,"accountsSynced":0,"transactionsSynced":0,"newAccounts":0,'
    b'"newTransactions":0,"updatedTransactions":0,"removedTransactions":0,"quarantined":0,"accounts":[{"accountId":"acc_'
)
_VERSION = b"\x01"
#: A window of 4 KB holds the dictionary and is quick to set up.
_WINDOW = -12
_MEMORY = 5
#: What is read back from Redis is untrusted: a bomb is cut off here.
_MOST = 4_000_000


#: To copy what has learned the dictionary is quicker than to let another learn it.
_LEARNED = zlib.compressobj(6, zlib.DEFLATED, _WINDOW, _MEMORY, zdict=_WORDS)


def pack(text: str) -> bytes:
    """Return a text packed; `unpack` gives it back."""
    deflate = _LEARNED.copy()
    return _VERSION + deflate.compress(text.encode()) + deflate.flush()


def pack_json(value: Mapping[str, Any]) -> bytes:
    """Return a JSON object packed."""
    return pack(short_json(value))


def unpack(packed: bytes) -> str:
    """Return the text of a packed or plain value.

    Raises:
        ValueError: it is damaged, or larger than 4 MB.
    """
    if not packed.startswith(_VERSION):
        return packed.decode()
    inflate = zlib.decompressobj(_WINDOW, zdict=_WORDS)
    try:
        text = inflate.decompress(packed[1:], _MOST)
    except zlib.error as error:
        raise ValueError("a packed value is damaged") from error
    if not inflate.eof:
        raise ValueError("a packed value is damaged or too large")
    return text.decode()
