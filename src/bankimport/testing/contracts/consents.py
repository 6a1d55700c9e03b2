"""What every `ConsentFlow` must do: a provider through which people connect their banks."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import pytest

from bankimport.errors import InvalidRequest, JobError, NotGranted, ReauthRequired
from bankimport.imports.accounts import assign
from bankimport.models import (
    AuthorisationOutcome,
    BankConnection,
    Begun,
    Callback,
    ConsentRequest,
    ConsentStatus,
    Granted,
    PsuContext,
)
from bankimport.ports import BankProvider, ConsentFlow, OffersConsent

PERSON: Final = PsuContext("93.184.216.34", "Mozilla/5.0")
BACK: Final = "https://host.example/callback"


class Answer(StrEnum):
    """What a person does at the bank, or the bank to the person."""

    CONSENT = "consent"
    CANCEL = "cancel"
    REFUSE = "refuse"


_ENDS: Final = {
    Answer.CANCEL: {AuthorisationOutcome.CANCELLED, AuthorisationOutcome.BANK_FAILED},
    Answer.REFUSE: {AuthorisationOutcome.BANK_FAILED},
}


@dataclass(frozen=True)
class FlowUnderTest:
    """A bank whose people can be made to answer.

    `answer` lets a person (`who`) answer what was begun, and returns the query with which the bank sends them back, or
    None where nobody comes back, since it is done in the bank's app. `institution` and `psu_id` are what `begin` needs.
    """

    provider: BankProvider
    answer: Callable[[Begun, Answer, str], Awaitable[Mapping[str, str] | None]]
    institution: str | None = None
    psu_id: str | None = None

    @property
    def flow(self) -> ConsentFlow:
        """How a person consents."""
        assert isinstance(self.provider, OffersConsent)
        return self.provider.consent_flow

    async def begin(self, state: str) -> Begun:
        """Begin."""
        wish = ConsentRequest(f"{BACK}?n={state}", state, self.institution, psu=PERSON, psu_id=self.psu_id)
        return await self.flow.begin(wish)

    async def granted(self, state: str, who: str = "anna") -> Granted:
        """Let a person consent."""
        begun = await self.begin(state)
        return await self.flow.finish(begun, _callback(await self.answer(begun, Answer.CONSENT, who)), PERSON)


def _callback(brought: Mapping[str, str] | None) -> Callback:
    return Callback({} if brought is None else brought)


def _connection(granted: Granted) -> BankConnection:
    return BankConnection("c", "acme", "bank", consent_id=granted.consent_id, credentials=granted.credentials)


class ConsentFlowContract:
    """The promises, one a test. Subclass it, and give it a fixture `bank` that returns a `FlowUnderTest`."""

    async def test_a_person_consents(self, bank: FlowUnderTest) -> None:
        """There is an address, or the bank is asked how it stands; the state comes back; what was granted is valid, and
        accounts can be read with it."""
        begun = await bank.begin("state-1")
        if begun.url is None:
            assert await bank.flow.status(begun) is ConsentStatus.PENDING
        else:
            assert begun.url.startswith(("https://", "http://127.0.0.1", "http://localhost"))
        brought = await bank.answer(begun, Answer.CONSENT, "anna")
        if begun.url is None:
            assert brought is None
            assert await bank.flow.status(begun) is ConsentStatus.VALID
        else:
            assert _callback(brought).state == "state-1"
        granted = await bank.flow.finish(begun, _callback(brought), PERSON)
        consent = await bank.provider.consent(_connection(granted), PERSON)
        assert consent.status is ConsentStatus.VALID
        assert await bank.provider.accounts(_connection(granted), PERSON)

    @pytest.mark.parametrize("answer", _ENDS, ids=lambda answer: answer.value)
    async def test_no_consent_is_given(self, bank: FlowUnderTest, answer: Answer) -> None:
        """It is an error of the callback, or the bank says so when it is asked; whose doing it was is told."""
        begun = await bank.begin("state-1")
        brought = _callback(await bank.answer(begun, answer, "anna"))
        if not brought.error:
            with pytest.raises(NotGranted) as told:
                await bank.flow.finish(begun, brought, PERSON)
            assert told.value.outcome in _ENDS[answer]

    async def test_a_callback_proves_nothing(self, bank: FlowUnderTest) -> None:
        """Nobody has consented, and somebody calls: the bank is asked, or has to have given something."""
        begun = await bank.begin("state-1")
        made_up = ({"state": "state-1"}, {"ref": "state-1"}, {"state": "state-1", "code": "made-up"})
        finishing = (bank.flow.finish(begun, Callback(each), PERSON) for each in made_up)  # each asks for a while
        answers = await asyncio.gather(*finishing, return_exceptions=True)
        assert [type(answer) for answer in answers] == [NotGranted] * 3

    async def test_two_people_at_once(self, bank: FlowUnderTest) -> None:
        """Each is granted their own accounts, in whatever order they come back."""
        begun = {who: await bank.begin(f"state-{who}") for who in ("anna", "ben")}
        brought = {who: await bank.answer(each, Answer.CONSENT, who) for who, each in begun.items()}
        found = []
        for who in ("ben", "anna"):
            granted = await bank.flow.finish(begun[who], _callback(brought[who]), PERSON)
            accounts = await bank.provider.accounts(_connection(granted), PERSON)
            found.append({account.provider_id for account in accounts})
        assert found[0].isdisjoint(found[1])

    async def test_the_same_person_again(self, bank: FlowUnderTest) -> None:
        """A second consent is of the same accounts: each is recognised, and none is taken for another."""
        first, second = await bank.granted("state-1"), await bank.granted("state-2")
        assert first.consent_id != second.consent_id
        before = await bank.provider.accounts(_connection(first), PERSON)
        stored = [replace(each, id=str(n), consent_id=first.consent_id) for n, each in enumerate(before)]
        after = await bank.provider.accounts(_connection(second), PERSON)
        decided = assign([replace(each, consent_id=second.consent_id) for each in after], stored)
        assert sorted((each.id, each.undecided) for each in decided.accounts) == [(each.id, None) for each in stored]

    async def test_it_is_revoked(self, bank: FlowUnderTest) -> None:
        """The consent is valid no more, and no account is read; what has ended already can be revoked again."""
        granted = await bank.granted("state-1")
        await bank.flow.revoke(_connection(granted))
        with pytest.raises(JobError):
            await bank.provider.accounts(_connection(granted), PERSON)
        try:
            consent = await bank.provider.consent(_connection(granted), PERSON)
            assert consent.status is not ConsentStatus.VALID
        except ReauthRequired:
            pass
        await bank.flow.revoke(_connection(granted))

    async def test_nothing_prints_a_secret(self, bank: FlowUnderTest) -> None:
        """Neither an address, a state, a consent's id nor a token is in what a log may show."""
        begun = await bank.begin("a-state-of-many-bits")
        brought = await bank.answer(begun, Answer.CONSENT, "anna")
        granted = await bank.flow.finish(begun, _callback(brought), PERSON)
        secrets = [begun.url, "a-state-of-many-bits", begun.consent_id, granted.consent_id]
        secrets += [*(begun.secrets or {}).values(), *map(str, (granted.credentials or {}).values())]
        shown = f"{begun!r} {granted!r} {_callback(brought)!r}"
        assert [secret for secret in secrets if secret and secret in shown] == []

    async def test_its_banks(self, bank: FlowUnderTest) -> None:
        """Those that can be named, or none where there is but one; another one is refused by its field."""
        listed = await bank.flow.banks("DE")
        assert bank.institution in ({each.id for each in listed} if listed else {None})
        wish = ConsentRequest(BACK, "state-1", "no-such-bank", psu=PERSON, psu_id=bank.psu_id)
        with pytest.raises(InvalidRequest) as told:
            await bank.flow.begin(wish)
        assert told.value.pointer == "/institution"
