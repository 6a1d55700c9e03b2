"""Every code of a problem: its status, its title, and what to do about it. `GET …/problems/{code}` shows it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem. The title is the same wherever it occurs (RFC 9457, 3.1.3)."""

    code: str
    status: int
    title: str
    help: str


_ALL = (
    ProblemType("not-json", 400, "Not JSON", "The body is not one JSON value in UTF-8 whose names occur once."),
    ProblemType("bad-request", 400, "Bad request", "The body broke off, or its encoding is broken. Send it again."),
    ProblemType("unauthorized", 401, "Unauthorized", "The host service doesn't know who asks: sign in."),
    ProblemType("forbidden", 403, "Forbidden", "The host service doesn't let you do this here."),
    ProblemType(
        "origin-not-allowed", 403, "Origin not allowed", "A page of another site asked. List it in `allowed_origins`."
    ),
    ProblemType(
        "authorisation-refused", 403, "Not your authorisation", "Another user, or another browser, has begun it."
    ),
    ProblemType("not-found", 404, "Not found", "There is no such thing, or it belongs to another organisation."),
    ProblemType("method-not-allowed", 405, "Method not allowed", "`Allow` names the methods of this address."),
    ProblemType("request-timeout", 408, "Request timeout", "The body didn't arrive within 30 seconds."),
    ProblemType(
        "conflict", 409, "Conflict", "The state of what you asked about doesn't allow it, or it exists already."
    ),
    ProblemType("illegal-transition", 409, "Not in this state", "The job's state doesn't allow it: look at the job."),
    ProblemType(
        "connection-unusable", 409, "Connection unusable", "It is disconnected, or its consent has ended: renew it."
    ),
    ProblemType(
        "idempotency-key-in-use", 409, "Idempotency key in use", "The same request is being answered: wait a moment."
    ),
    ProblemType("too-large", 413, "Too large", "The body has more than 2 MiB, or more than 11,000 values."),
    ProblemType("unsupported-media-type", 415, "Unsupported media type", "Send `Content-Type: application/json`."),
    ProblemType("invalid-request", 422, "Wrong fields", "`errors` points at each field or parameter (RFC 6901)."),
    ProblemType(
        "idempotency-key-reused", 422, "Idempotency key reused", "The key stands for another request: take a new one."
    ),
    ProblemType("too-many-requests", 429, "Too many requests", "More than `BANK_SYNC_ORG_REQUESTS_PER_MINUTE`."),
    ProblemType("too-many-pending", 429, "Too many unfinished jobs", "More than `BANK_SYNC_ORG_MAX_PENDING`."),
    ProblemType("too-many-followers", 429, "Too many followers", "Too many follow this organisation's events."),
    ProblemType("internal-error", 500, "Internal error", "A fault of ours or of the host's. The log has it."),
    ProblemType("missing-extra", 501, "Not installed", "The host lacks an extra of bankimport."),
    ProblemType("not-offered", 501, "Not offered", "The host's own store or a provider doesn't implement this."),
    ProblemType(
        "connecting-failed",
        502,
        "Not possible at the bank",
        "The bank failed, or refuses us: see the log.",
    ),
    ProblemType("unavailable", 503, "Unavailable", "Redis or the database is away: come again after `Retry-After`."),
    ProblemType(
        "authorization-unavailable", 503, "Authorisation unavailable", "The host can't tell now who may do this."
    ),
)

PROBLEM_TYPES = {each.code: each for each in _ALL}


def title_of(code: str) -> str:
    """Return the title of a problem; of one that is the host's own, its code."""
    known = PROBLEM_TYPES.get(code)
    return known.title if known else code.replace("-", " ").capitalize()
