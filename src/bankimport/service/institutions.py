"""The banks that providers of many can connect: long lists that change rarely, so each is asked for once an hour."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from bankimport.errors import InvalidRequest
from bankimport.models import Institution
from bankimport.service.banking import Banking

#: a list is believed so long
_KEPT: Final = timedelta(hours=1)
#: lists that are held at one time; there are some thirty countries
_HELD: Final = 100


class Institutions:
    """Lists banks."""

    def __init__(self, banking: Banking) -> None:
        self._banking = banking
        self._lists: dict[tuple[str, str | None], tuple[datetime, Sequence[Institution]]] = {}

    async def of(self, bank: str, country: str | None) -> Sequence[Institution]:
        """Return the banks that a provider can connect, of a country or of all.

        Raises:
            InvalidRequest: the bank is unknown, or the country is none.
            NotOffered, Unavailable, ConnectingFailed
        """
        if country is not None and not re.fullmatch("[A-Za-z]{2}", country, re.ASCII):
            raise InvalidRequest("/country", "must be two letters, such as DE")
        flow, key, now = self._banking.flow(bank), (bank, country and country.upper()), self._banking.clock()
        at, known = self._lists.get(key, (None, ()))
        if at is not None and now - at < _KEPT:
            return known
        found = await self._banking.asked(flow.banks(key[1]))
        while len(self._lists) >= _HELD:
            del self._lists[next(iter(self._lists))]
        self._lists[key] = now, found
        return found
