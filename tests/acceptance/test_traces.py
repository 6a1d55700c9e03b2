"""One request is one trace: from the route through the queue to the bank and the store's write."""

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bankimport import BankConnection, BankImport, Settings, allow_all
from bankimport.providers import BerlinGroup
from bankimport.sandbox import create_app
from bankimport.testing import MemoryStore, run_until_idle

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq closes its pool so

SENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_one_trace(settings: Settings, exporter: InMemorySpanExporter) -> None:
    """The caller's trace goes on in the route, in the worker's run, in each request to the bank and in the write; no
    attribute holds an organisation, a consent or an account's number."""
    app = web.Application()
    async with TestServer(create_app()) as bank:
        provider = BerlinGroup(str(bank.make_url("")), unattended_limit=None)
        connection = BankConnection(id="giro", org_id="acme", bank="sandbox", consent_id="consent-secret")
        async with BankImport(settings, banks={"sandbox": provider}, store=MemoryStore(connection)) as bank_import:
            app.add_subapp("/api", bank_import.web_app(authorize=allow_all))
            async with TestServer(app) as host, ClientSession() as session:
                url = host.make_url("/api/organisations/acme/bank-connections/giro/sync")
                async with session.post(url, json={}, headers={"traceparent": SENT}) as answer:
                    assert answer.status == 202
            await run_until_idle(bank_import)
    spans = exporter.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in spans if span.context} == {SENT.split("-")[1]}
    by_id = {span.context.span_id: span for span in spans if span.context}
    names = [span.name for span in spans]
    [run] = [span for span in spans if span.name == "job sync-connection"]
    assert run.parent is not None
    assert by_id[run.parent.span_id].name.startswith("POST /api/organisations/{orgId}")
    assert {"bank accounts", "bank balances", "bank transactions", "store apply"} <= set(names)
    for span in spans:
        if span.name.startswith(("bank", "store")):
            assert span.parent is not None
            assert span.parent.span_id == run.context.span_id
    told = " ".join(str({**(span.attributes or {}), "name": span.name}) for span in spans)
    assert [word for word in ("acme", "consent-secret", "giro", "DE") if word in told] == []
