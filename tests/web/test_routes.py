"""What each route takes and answers, over a real socket."""

import dataclasses
from datetime import UTC, date, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from bankimport.models import JobType
from bankimport.queue.filters import JobFilter
from bankimport.status import JobState
from bankimport.web import allow_all, web_app
from tests.web.serving import FakeService, Host, job, running_job, serving

SCHEDULED = "Sync job scheduled successfully. Use the job ID to track progress."


async def test_a_sync_is_asked_for(host: Host, service: FakeService) -> None:
    """A sync with all its options is passed on, and answered with the job and where it is."""
    body = {
        "forceFullSync": True,
        "accountIds": ["a", "b"],
        "startDate": "2026-01-01",
        "endDate": "2026-02-01",
        "triggeredBy": "maria",
    }
    status, answer, headers = await host.call("POST", "/giro/sync", json=body)
    assert (status, answer) == (202, {"jobId": "job-1", "message": SCHEDULED})
    assert headers["Location"] == "/api/organisations/acme/bank-connections/jobs/job-1"
    assert service.calls == [
        (
            "sync",
            "giro",
            "acme",
            {
                "force_full_sync": True,
                "account_ids": ("a", "b"),
                "start_date": date(2026, 1, 1),
                "end_date": date(2026, 2, 1),
                "triggered_by": "maria",
                "psu": None,
            },
        )
    ]


@pytest.mark.parametrize("body", [b"", b"{}", b" {}\n"])
async def test_an_empty_body_is_an_empty_object(host: Host, body: bytes) -> None:
    """Nothing and an empty object ask for the same sync."""
    status, _, _ = await host.call("POST", "/giro/sync", data=body)
    assert status == 202


async def test_an_id_may_come_percent_encoded(host: Host, service: FakeService) -> None:
    """A browser encodes the colon of an id; it is the same id."""
    await host.call("POST", "/bank%3Agiro/sync")
    assert service.calls[0][1] == "bank:giro"


async def test_an_organisation_is_synced(host: Host, service: FakeService) -> None:
    """A sync of all, or of those named, is one job."""
    status, answer, headers = await host.call("POST", "/sync", json={"connectionIds": ["a"], "triggeredBy": "m"})
    assert (status, answer["jobId"], headers["Location"].endswith("/jobs/job-1")) == (202, "job-1", True)
    assert service.calls == [("org-sync", "acme", ("a",), "m")]


async def test_a_waiting_job(host: Host, service: FakeService) -> None:
    """A job that has not run shows exactly the fields that are there."""
    service.jobs["j1"] = job()
    status, answer, _ = await host.call("GET", "/jobs/j1")
    assert status == 200
    assert answer == {
        "id": "j1",
        "type": "sync-connection",
        "state": "waiting",
        "progress": None,
        "data": {"connectionId": "giro"},
        "result": None,
        "attemptsMade": 0,
        "queuedAt": "2026-03-04T05:06:07Z",
    }


async def test_an_ended_job(host: Host, service: FakeService) -> None:
    """A job that failed shows why, by a code for programs too, and when, and no field beyond the contract's."""
    service.jobs["j1"] = running_job(failed_reason="the bank said no", error_code="bank-rejected").model_copy(
        update={"state": JobState.FAILED, "finished_on": datetime(2026, 3, 4, 6, tzinfo=UTC)}
    )
    _, answer, _ = await host.call("GET", "/jobs/j1")
    assert set(answer) == {
        "id", "type", "state", "progress", "data", "result", "failedReason", "errorCode", "attemptsMade", "queuedAt",
        "processedOn", "finishedOn",
    }  # fmt: skip
    assert answer["progress"]["stage"] == "syncing_accounts"
    assert (answer["failedReason"], answer["attemptsMade"]) == ("the bank said no", 1)


async def test_jobs_are_listed(host: Host, service: FakeService) -> None:
    """Filters are passed on; the list holds the organisation's own, and a cursor where there is more."""
    service.jobs = {"j1": job(), "g1": job("g1", "globex")}
    _, answer, _ = await host.call(
        "GET",
        "/jobs?state=waiting-children&connectionId=c&type=sync-all-org&errorCode=transient&bank=b&cursor=1:x&limit=7",
    )
    assert [each["id"] for each in answer["jobs"]] == ["j1"]
    assert "nextCursor" not in answer
    filters = {"state": JobState.WAITING_CHILDREN, "connection_id": "c", "type": JobType.SYNC_ALL_ORG}
    filters["error_code"] = "transient"
    assert service.calls[-1] == ("list", "acme", {**filters, "bank": "b", "cursor": "1:x", "limit": 7})
    service.next_cursor = "5:j1"
    _, answer, _ = await host.call("GET", "/jobs")
    assert answer["nextCursor"] == "5:j1"
    assert service.calls[-1][2]["state"] is None


@pytest.mark.parametrize(
    "query", ["state=odd", "type=odd", "limit=0", "limit=201", "limit=x", "connectionId=a%20b", "state=", "cursor="]
)
async def test_a_wrong_filter(host: Host, query: str) -> None:
    """A filter that can't be is a 422, not an empty list."""
    assert await host.problem("GET", f"/jobs?{query}") == (422, "invalid-request")


@pytest.mark.parametrize("action", ["retry", "cancel"])
async def test_retry_and_cancel(host: Host, service: FakeService, action: str) -> None:
    """A job of the organisation's own is retried or cancelled; another's is not found."""
    service.jobs = {"j1": job(), "g1": job("g1", "globex")}
    status, answer, _ = await host.call("POST", f"/jobs/j1/{action}")
    assert (status, answer["jobId"]) == (202, "j1")
    assert service.calls == [(action, "j1", "acme")]
    assert await host.problem("POST", f"/jobs/g1/{action}") == (404, "not-found")


async def test_the_queue(host: Host) -> None:
    """Health and statistics are the contract's fields."""
    _, health, _ = await host.call("GET", "/queue/health")
    assert set(health) == {"isHealthy", "isPaused", "stats", "warnings", "alerts", "liveWorkers"}
    _, whole, _ = await host.call("GET", "/queue/health", token="*")
    assert set(whole) >= {"isHealthy", "isPaused", "stats", "warnings", "alerts", "workers"}
    assert (health["isHealthy"], health["warnings"], health["stats"]["waiting"]) == (True, ["careful"], 3)
    _, stats, _ = await host.call("GET", "/queue/stats")
    assert stats == {
        "waiting": 3, "active": 0, "completed": 0, "failed": 0, "delayed": 0, "paused": 0, "waitingChildren": 1,
        "cancelled": 0,
    }  # fmt: skip


async def test_pause_and_resume(host: Host, service: FakeService) -> None:
    """The operator pauses, until an instant and with a reason or neither, and resumes; the answer is the health."""
    body = {"until": "2030-01-01T00:00:00+01:00", "reason": "bank holiday"}
    status, answer, _ = await host.call("POST", "/queue/pause", token="*", json=body)
    assert (status, answer["isHealthy"]) == (200, True)
    assert service.calls[0] == ("pause", datetime(2029, 12, 31, 23, tzinfo=UTC), "bank holiday")
    assert (await host.call("POST", "/queue/pause", token="*"))[0] == 200
    assert (await host.call("POST", "/queue/resume", token="*"))[0] == 200
    assert [call[0] for call in service.calls] == ["pause", "health", "pause", "health", "resume", "health"]


async def test_the_person_who_asks(service: FakeService) -> None:
    """The person's address is taken from the request: behind a trusted proxy from its header, else from the peer, and a
    private one is none."""
    address = {"X-Forwarded-For": "8.8.8.8", "User-Agent": "Firefox"}
    async with serving(service, trusted_proxies=["127.0.0.0/8"]) as host:
        await host.call("POST", "/giro/sync", headers=address)
    async with serving(service) as host:
        await host.call("POST", "/giro/sync", headers=address)
    trusted, untrusted = service.persons
    assert trusted is not None
    assert (trusted.ip, trusted.user_agent) == ("8.8.8.8", "Firefox")
    assert untrusted is None


async def test_allow_all_says_so(service: FakeService) -> None:
    """`allow_all` lets everybody in, and says once in the log that this is for demos."""
    with capture_logs() as logs:
        async with serving(service, authorize=type(allow_all)()) as host:
            assert (await host.call("POST", "/queue/pause", token="*"))[0] == 200
            assert (await host.call("GET", "/jobs", token=""))[0] == 200
    assert [log["event"] for log in logs if log["log_level"] == "warning"] == ["web.allow_all"]


async def test_wrong_options(service: FakeService) -> None:
    """Options that can't be stop the start."""
    with pytest.raises(ValueError, match="reauthorise_every"):
        web_app(service, authorize=allow_all, reauthorise_every=timedelta(minutes=2))
    with pytest.raises(ValueError, match="nonsense"):
        web_app(service, authorize=allow_all, trusted_proxies=["nonsense"])
    with pytest.raises(ValueError, match="no origin"):
        web_app(service, authorize=allow_all, allowed_origins=["app.example"])
    with pytest.raises(ValueError, match="public_url"):
        web_app(service, authorize=allow_all, public_url="/banking")


async def test_operators_see_all_jobs(host: Host, service: FakeService) -> None:
    """Over all organisations, or of one of them."""
    service.jobs = {"j1": job(), "g1": job("g1", "globex")}
    _, answer, _ = await host.call("GET", "/jobs?errorCode=transient", token="*")
    assert [each["id"] for each in answer["jobs"]] == ["j1", "g1"]
    _, answer, _ = await host.call("GET", "/jobs?orgId=globex", token="*")
    assert [each["id"] for each in answer["jobs"]] == ["g1"]
    status, answer, _ = await host.call("GET", "/jobs/g1", token="*")
    assert (status, answer["id"]) == (200, "g1")


@pytest.mark.parametrize(("action", "count"), [("retry", 3), ("discard", 4)])
async def test_jobs_in_bulk(host: Host, service: FakeService, action: str, count: int) -> None:
    """They are counted first, exactly those of the filter are changed, and a reason is wanted."""
    body = {"orgId": "acme", "type": "sync-connection", "errorCode": "transient", "reason": "mended"}
    status, answer, _ = await host.call("POST", f"/jobs/{action}", token="*", json={**body, "dryRun": True})
    assert (status, answer) == (200, {"count": 5, "dryRun": True})
    status, answer, _ = await host.call("POST", f"/jobs/{action}", token="*", json=body)
    assert (status, answer) == (200, {"count": count, "dryRun": False})
    meant = JobFilter(org_id="acme", type=JobType.SYNC_CONNECTION, error_code="transient")
    assert service.calls == [
        ("count-jobs", dataclasses.replace(meant, state=JobState.FAILED)),
        (f"{action}-jobs", meant),
    ]
    status, answer, _ = await host.call("POST", f"/jobs/{action}", token="*", json={"orgId": "acme"})
    assert (status, answer["errors"][0]["pointer"]) == (422, "/reason")
