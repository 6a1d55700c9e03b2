"""A pot has a new name and id after a renewal: somebody says that it is the old one, with a real queue."""

from datetime import UTC, date, datetime, timedelta

import pytest

from bankimport import AccountReference, BankAccount, BankImport, Capabilities, PsuContext, ReportedTransaction, errors
from bankimport.models import TransactionStatus
from bankimport.settings import Settings
from bankimport.stores import SqlStore
from bankimport.testing import FakeBank, run_until_idle
from tests.migrated import upgraded
from tests.web.serving import by_token, serving

# arq closes its pool by a name that redis-py has given up
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")

IBAN = (AccountReference("iban", "DE89370400440532013000"),)
GIRO = BankAccount("g-1", currency="EUR", name="Giro", kind="CACC", references=IBAN)
OLD = BankAccount("p-1", currency="EUR", name="Holiday", kind="SVGS", references=IBAN)
NEW = BankAccount("p-2", currency="EUR", name="House", kind="SVGS", references=IBAN)
PERSON = PsuContext("93.184.216.34", "Mozilla/5.0")


def row(day: int, amount: str) -> ReportedTransaction:
    """Return an entry of some days ago."""
    booked = (datetime.now(UTC).date() - timedelta(days=day)).isoformat()
    return ReportedTransaction(TransactionStatus.BOOKED, amount=amount, currency="EUR", booking_date=booked)


async def test_the_old_pot_goes_on(settings: Settings) -> None:
    """Its rows are there once, its id is the old one; the person's sync reads it at once, the schedule not today."""
    url = settings.database_url.get_secret_value()
    await upgraded(url)
    store, bank = SqlStore(url, environment="development"), FakeBank(capabilities=Capabilities())
    rows = [row(5, "-1.00"), row(4, "-2.00"), row(30, "-3.00")]
    bank.accounts_answer = [GIRO, OLD]
    bank.show(OLD, *rows)
    async with BankImport(settings, banks={"bank": bank}, store=store) as bank_import:
        connections = bank_import.connections
        await connections.add(org_id="acme", bank="bank", consent_id="c-1", valid_until=date(2099, 1, 1), id="giro")
        await bank_import.schedule_immediate_sync("giro", psu=PERSON)
        await run_until_idle(bank_import)
        before = {each.name: each.id for each in await connections.accounts("giro")}

        await connections.set_consent("giro", consent_id="c-2")
        bank.accounts_answer = [GIRO, NEW]
        bank.show(NEW, *rows, row(1, "-4.00"))
        job_id = await bank_import.schedule_immediate_sync("giro", psu=PERSON)
        await run_until_idle(bank_import)
        job = await bank_import.get_job_status(job_id)
        assert job is not None
        assert job.result is not None
        assert job.result["undecided"] == 1
        [doubtful] = [each for each in await connections.accounts("giro") if each.undecided]

        details = {each.id: each for each in (await bank_import.get_connection("giro", "acme")).accounts}
        assert details[doubtful.id].could_be == (before["Holiday"],)
        assert [(each.listed, each.undecided) for each in details.values() if each.could_be] == [(True, "name")]
        assert not details[before["Holiday"]].listed
        with pytest.raises(errors.NotFound):
            await connections.decide_account("giro", doubtful.id, same_as=before["Holiday"], org_id="globex")
        async with serving(bank_import, authorize=by_token) as host:
            path = f"/giro/accounts/{doubtful.id}/decision"
            assert await host.problem("POST", path, json={}) == (422, "invalid-request")
            assert await host.problem("POST", path, json={"sameAs": before["Giro"]}) == (409, "conflict")
            assert await host.problem("POST", path, json={"sameAs": "nix"}) == (404, "not-found")
            status, body, _ = await host.call("POST", path, json={"sameAs": before["Holiday"]})
        assert status == 200, body
        told = {each["id"]: each for each in body["accounts"]}
        assert sorted(told) == sorted(before.values())
        assert "undecided" not in told[before["Holiday"]]
        [decided] = [each for each in await connections.accounts("giro") if each.id == before["Holiday"]]
        assert decided.name == "House"

        job_id = await bank_import.schedule_immediate_sync("giro")
        await run_until_idle(bank_import)
        job = await bank_import.get_job_status(job_id)
        assert job is not None
        assert job.result is not None
        assert {each["accountId"] for each in job.result["deferred"]} == {decided.id}

        job_id = await bank_import.schedule_immediate_sync("giro", psu=PERSON)
        await run_until_idle(bank_import)
        job = await bank_import.get_job_status(job_id)
        assert job is not None
        assert job.result is not None
        assert (job.result["undecided"], job.result["newTransactions"]) == (0, 1)
        accounts = await connections.accounts("giro")
        assert sorted(each.id for each in accounts) == sorted(before.values())
