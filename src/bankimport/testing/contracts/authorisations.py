"""What every `AuthorisationStore` must do: a store through which people connect their banks."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bankimport.access.authorisations import CLAIM, LIFETIME, hashed
from bankimport.models import (
    Authorisation,
    AuthorisationOutcome,
    AuthorisationStep,
    Begun,
    Granted,
)
from bankimport.status import ConnectionStatus

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
GRANTED = Granted("consent-2", date(2026, 9, 1))


def authorisation(number: int = 1, **fields: Any) -> Authorisation:
    """Return one that has just begun."""
    begun = Begun("", f"consent-{number}", {"authorisation": "a-1"})
    values: dict[str, Any] = {
        "id": f"auth-{number}",
        "state_hash": hashed(f"state-{number}"),
        "org_id": "acme",
        "connection_id": f"conn-{number}",
        "bank": "sandbox",
        "user": "anna",
        "is_renewal": False,
        "return_to": "/banks",
        "begun": begun,
        "created_at": NOW,
        "expires_at": NOW + LIFETIME,
    }
    return Authorisation(**{**values, **fields})


class AuthorisationContract:
    """The promises, one a test. `store` is a store that is empty."""

    async def test_an_authorisation_comes_back_as_it_was_added(self, store: Any) -> None:
        """It is found by the hash of its state, and its new connection waits."""
        begun = authorisation()
        await store.add_authorisation(begun)
        assert await store.authorisation_of(hashed("state-1")) == begun
        assert await store.latest_authorisation("conn-1") == begun
        assert await store.authorisation_of(hashed("state-2")) is None
        connection = await store.connection("conn-1")
        assert (connection.org_id, connection.status) == ("acme", ConnectionStatus.PENDING)
        assert [each async for each in store.syncable_organisations(NOW)] == []

    async def test_one_of_many_may_ask_the_bank(self, store: Any) -> None:
        """However many callbacks come at once, one claims it; when that one has died, another may."""
        await store.add_authorisation(authorisation())
        claims = [store.claim_authorisation("auth-1", NOW, NOW - CLAIM) for _ in range(5)]
        assert sorted(await asyncio.gather(*claims)) == [False, False, False, False, True]
        assert (await store.authorisation_of(hashed("state-1"))).step is AuthorisationStep.FINISHING
        later = NOW + CLAIM
        assert await store.claim_authorisation("auth-1", later, later - CLAIM)
        assert not await store.claim_authorisation("auth-1", later, later - CLAIM)

    async def test_a_granted_one_makes_its_connection_active(self, store: Any) -> None:
        """Consent and end are one write, which happens once."""
        await store.add_authorisation(authorisation())
        assert await store.end_authorisation("auth-1", AuthorisationOutcome.CONNECTED, granted=GRANTED, same_login="c")
        connection = await store.connection("conn-1")
        assert (connection.status, connection.consent_id) == (ConnectionStatus.ACTIVE, "consent-2")
        assert connection.consent_valid_until == date(2026, 9, 1)
        assert not await store.end_authorisation("auth-1", AuthorisationOutcome.FAILED)
        assert not await store.claim_authorisation("auth-1", NOW + LIFETIME, NOW + LIFETIME)
        ended = await store.authorisation_of(hashed("state-1"))
        assert (ended.outcome, ended.step, ended.same_login) == ("connected", AuthorisationStep.ENDED, "c")

    async def test_a_new_one_that_is_not_granted_leaves_nothing(self, store: Any) -> None:
        """The connection goes; how it ended stays known."""
        await store.add_authorisation(authorisation())
        assert await store.end_authorisation("auth-1", AuthorisationOutcome.CANCELLED, "person")
        assert await store.connection("conn-1") is None
        ended = await store.latest_authorisation("conn-1")
        assert (ended.outcome, ended.reason) == (AuthorisationOutcome.CANCELLED, "person")

    async def test_a_renewal_that_is_not_granted_changes_nothing(self, store: Any) -> None:
        """The old consent serves on."""
        await store.add_authorisation(authorisation())
        await store.end_authorisation("auth-1", AuthorisationOutcome.CONNECTED, granted=GRANTED)
        before = await store.connection("conn-1")
        await store.add_authorisation(authorisation(2, connection_id="conn-1", is_renewal=True))
        assert await store.connection("conn-1") == before
        assert await store.end_authorisation("auth-2", AuthorisationOutcome.BANK_FAILED)
        assert await store.connection("conn-1") == before

    async def test_which_bank_is_remembered(self, store: Any) -> None:
        """Where a provider has many: from the beginning, and a renewal that names another one brings it."""
        await store.add_authorisation(authorisation(institution="DE:One"))
        assert (await store.connection("conn-1")).institution == "DE:One"
        assert (await store.authorisation_of(hashed("state-1"))).institution == "DE:One"
        await store.end_authorisation("auth-1", AuthorisationOutcome.CONNECTED, granted=GRANTED)
        again = {"connection_id": "conn-1", "is_renewal": True}
        await store.add_authorisation(authorisation(2, **again, institution="DE:Two"))
        await store.end_authorisation("auth-2", AuthorisationOutcome.CANCELLED)
        assert (await store.connection("conn-1")).institution == "DE:One"
        for number, named in ((3, "DE:Two"), (4, None)):
            await store.add_authorisation(authorisation(number, **again, institution=named))
            await store.end_authorisation(f"auth-{number}", AuthorisationOutcome.RENEWED, granted=GRANTED)
            assert (await store.connection("conn-1")).institution == "DE:Two"

    async def test_who_begins_again_ends_what_was_begun(self, store: Any) -> None:
        """Only the last one of a connection can be granted."""
        await store.add_authorisation(authorisation())
        await store.end_authorisation("auth-1", AuthorisationOutcome.CONNECTED, granted=GRANTED)
        again = {"connection_id": "conn-1", "is_renewal": True}
        await store.add_authorisation(authorisation(2, **again))
        await store.add_authorisation(authorisation(3, **again, created_at=NOW + timedelta(seconds=1)))
        assert not await store.end_authorisation("auth-2", AuthorisationOutcome.RENEWED, granted=Granted("stolen"))
        assert (await store.authorisation_of(hashed("state-2"))).reason == "superseded"
        assert (await store.latest_authorisation("conn-1")).id == "auth-3"

    async def test_those_who_wait_are_found(self, store: Any) -> None:
        """Of this user, at this bank, in time."""
        await store.add_authorisation(authorisation())
        await store.add_authorisation(authorisation(2, user="ben"))
        await store.add_authorisation(authorisation(3, bank="other"))
        await store.add_authorisation(authorisation(4))
        await store.end_authorisation("auth-4", AuthorisationOutcome.CANCELLED)
        assert [each.id for each in await store.waiting_authorisations("anna", "sandbox", NOW)] == ["auth-1"]
        assert await store.waiting_authorisations("anna", "sandbox", NOW + LIFETIME) == []

    async def test_what_was_never_authorised_goes(self, store: Any) -> None:
        """With the organisation's next one, a day later; a connection that was authorised stays."""
        await store.add_authorisation(authorisation())
        await store.add_authorisation(authorisation(2))
        await store.end_authorisation("auth-2", AuthorisationOutcome.CONNECTED, granted=GRANTED)
        later = NOW + LIFETIME + timedelta(days=1, seconds=1)
        await store.add_authorisation(replace(authorisation(3), created_at=later, expires_at=later + LIFETIME))
        assert await store.connection("conn-1") is None
        assert await store.connection("conn-2") is not None
        assert await store.latest_authorisation("conn-1") is None
        assert await store.latest_authorisation("conn-2") is None
