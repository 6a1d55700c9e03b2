"""What a connection, its organisation and its bank may be called: the same in every store."""

import re

from bankimport.errors import InvalidRequest
from bankimport.models import CONNECTION_WORDS, ID_PATTERN


def check_ids(connection_id: str, org_id: str, bank: str) -> None:
    """Refuse ids by which a connection could not be asked for.

    Raises:
        InvalidRequest: one is none, or a connection's stands for something else in our addresses.
    """
    for pointer, value in (("/id", connection_id), ("/orgId", org_id), ("/bank", bank)):
        if not re.fullmatch(ID_PATTERN, value):
            raise InvalidRequest(pointer, "must be 1 to 128 letters, digits and _ . : -")
    if connection_id in CONNECTION_WORDS:
        words = ", ".join(sorted(CONNECTION_WORDS))
        raise InvalidRequest("/id", f"must be none of {words}: these stand for something else in addresses")
