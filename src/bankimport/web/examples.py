"""Examples for the description; a test checks each against its schema."""

from collections.abc import Mapping
from typing import Any

_JOB = {
    "id": "V1StGXR8_Z5jdHi6",
    "type": "sync-connection",
    "state": "completed",
    "progress": {"stage": "completed", "message": "Sync completed: 42 new transactions", "percent": 100},
    "data": {"orgId": "acme", "connectionId": "giro", "scheduled": False},
    "result": None,
    "attemptsMade": 0,
    "queuedAt": "2026-03-31T08:00:00Z",
    "processedOn": "2026-03-31T08:00:01Z",
    "finishedOn": "2026-03-31T08:00:05Z",
}
_STATS = {"waiting": 2, "active": 1, "completed": 40, "failed": 0, "delayed": 3, "paused": 0, "waitingChildren": 1}
_CONNECTION = {
    "id": "giro",
    "orgId": "acme",
    "bank": "my-gateway",
    "status": "ACTIVE",
    "explanation": "Read as planned.",
    "syncable": True,
    "consentValidUntil": "2026-09-27",
    "lastSyncAt": "2026-03-31T08:00:05Z",
    "nextSyncAt": "2026-03-31T10:00:00Z",
}

EXAMPLES: Mapping[str, Any] = {
    "SyncBody": {"forceFullSync": False, "startDate": "2026-01-01", "triggeredBy": "maria@example.com"},
    "OrgSyncBody": {"connectionIds": ["giro", "sparen"], "triggeredBy": "maria@example.com"},
    "PauseBody": {"until": "2030-01-01T06:00:00Z", "reason": "the gateway is being changed"},
    "EmptyBody": {},
    "JobsBody": {"orgId": "acme", "errorCode": "transient", "dryRun": True, "reason": "the gateway was away"},
    "Bulk": {"count": 17, "dryRun": True},
    "Accepted": {
        "jobId": "V1StGXR8_Z5jdHi6",
        "message": "Sync job scheduled successfully. Use the job ID to track progress.",
    },
    "Job": _JOB,
    "JobList": {"jobs": [_JOB]},
    "ConnectionPage": {"connections": [_CONNECTION]},
    "ConnectionDetails": {
        **_CONNECTION,
        "accounts": [
            {"id": "acc_1", "currency": "EUR", "ibanEnd": "3000", "listed": True, "readsToday": {"used": 3}}
        ],
    },
    "DecisionBody": {"sameAs": "acc_1"},
    "BankList": {"banks": [{"name": "eb", "connectable": True}, {"name": "my-gateway", "connectable": True}]},
    "InstitutionList": {
        "institutions": [
            {
                "id": "DE:Sandbox Bank",
                "name": "Sandbox Bank",
                "country": "DE",
                "longestConsentDays": 180,
                "requiredHeaders": ["Psu-Ip-Address", "Psu-User-Agent"],
                "methods": ["redirect"],
            }
        ]
    },
    "AuditPage": {
        "entries": [
            {
                "id": "01774944005000-5f1c3a9be012",
                "at": "2026-03-31T08:00:05Z",
                "who": "mira",
                "via": "page",
                "action": "jobs.retry",
                "orgId": "acme",
                "reason": "the gateway was away",
                "facts": {"state": "failed", "jobs": 17},
            }
        ]
    },
    "QueueStats": _STATS,
    "OrganisationHealth": {
        "isHealthy": True, "isPaused": False, "stats": _STATS, "warnings": [], "alerts": [], "liveWorkers": 2,
    },
    "QueueHealth": {"isHealthy": True, "isPaused": False, "stats": _STATS, "warnings": [], "alerts": [], "workers": []},
}  # fmt: skip
