"""What every store must do in which somebody may decide about accounts. Subclass it, with an empty `store`."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from bankimport.errors import Conflict, NotFound
from bankimport.models import AccountReference, BankAccount, BankConnection, Undecided

IBAN = AccountReference("iban", "DE89370400440532013000")


def _listed(resource: str, name: str, kind: str = "SVGS", currency: str = "EUR") -> BankAccount:
    return BankAccount(resource, currency=currency, name=name, kind=kind, references=(IBAN,))


async def _doubtful(store: Any) -> tuple[BankConnection, BankAccount, BankAccount]:
    """Return a connection whose pot has a new name and id after a renewal: the old one, and the undecided one."""
    connection_id = await store.add_connection(
        org_id="acme", bank="bank", consent_id="c-1", valid_until=date(2099, 1, 1), id="giro"
    )
    connection = await store.connection(connection_id)
    giro = _listed("g-1", "Giro", "CACC")
    _, pot = await store.upsert_accounts(connection, [giro, _listed("p-1", "Holiday")], fence=1)
    await store.renew_consent(connection_id, "c-2", date(2099, 1, 1))
    renewed = await store.connection(connection_id)
    _, new = await store.upsert_accounts(renewed, [replace(giro, provider_id="g-2"), _listed("p-2", "House")], fence=2)
    assert (new.undecided, new.id != pot.id) == (Undecided.NAME, True)
    return renewed, pot, new


class AccountDecisionContract:
    """The promises, one test each."""

    async def test_it_is_the_one_before(self, store: Any) -> None:
        """The stored account goes on under the new id and name; the other is gone; the next list says the same."""
        connection, pot, new = await _doubtful(store)
        decided = await store.decide_account(connection.id, new.id, pot.id)
        assert (decided.id, decided.stable_key, decided.undecided) == (pot.id, pot.stable_key, None)
        assert (decided.provider_id, decided.name, decided.is_listed) == ("p-2", "House", True)
        known = {each.id: each for each in await store.accounts(connection.id)}
        assert known[pot.id] == decided
        assert len(known) == 2
        again = await store.upsert_accounts(connection, [_listed("p-2", "House")], fence=3)
        assert [(each.id, each.undecided) for each in again] == [(pot.id, None)]

    async def test_it_is_another(self, store: Any) -> None:
        """There is no doubt any more, and both stay."""
        connection, pot, new = await _doubtful(store)
        decided = await store.decide_account(connection.id, new.id, None)
        assert (decided.id, decided.undecided) == (new.id, None)
        assert {pot.id, new.id} <= {each.id for each in await store.accounts(connection.id)}
        with pytest.raises(Conflict):
            await store.decide_account(connection.id, new.id, pot.id)

    async def test_what_can_not_be(self, store: Any) -> None:
        """Neither an account that the bank lists too, nor itself, nor one that isn't there; nothing is changed."""
        connection, pot, new = await _doubtful(store)
        before = await store.accounts(connection.id)
        [giro] = [each for each in before if each.name == "Giro"]
        for same_as in (giro.id, new.id):
            with pytest.raises(Conflict):
                await store.decide_account(connection.id, new.id, same_as)
        for account_id, same_as in (("nobody", pot.id), (new.id, "nobody")):
            with pytest.raises(NotFound):
                await store.decide_account(connection.id, account_id, same_as)
        with pytest.raises(Conflict):
            await store.decide_account(connection.id, giro.id, pot.id)
        assert await store.accounts(connection.id) == before
