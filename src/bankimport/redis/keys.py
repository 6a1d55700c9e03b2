"""Every Redis key of a queue: named here and nowhere else. Python and Lua make their names of one table (`KEYS`), and
`docs/reference/redis-keys.md` is made of it."""

import re
from dataclasses import dataclass
from itertools import chain, zip_longest

from bankimport.redis.spelling import arguments

#: arq's own keys of a stranger's job; ours have none.
ARQ_JOB = "arq:job:"

_PART = re.compile(r"<\w+>")
_IN_LUA = re.compile(r"\bkey\.(\w+)")


@dataclass(frozen=True, slots=True)
class Key:
    """A key, or a family of keys with parts in angle brackets: what it is, whose it is, and how it ends."""

    pattern: str
    kind: str
    holds: str
    owner: str
    end: str

    @property
    def name(self) -> str:
        """The name in Lua: `key.<name>`, a function where the pattern has parts."""
        return _PART.split(self.pattern)[0].rstrip(":").replace(":", "_").replace("-", "_")

    @property
    def parts(self) -> int:
        """How many parts the pattern has."""
        return len(_PART.findall(self.pattern))

    def fill(self, *parts: str) -> str:
        """Return the pattern with its parts filled in."""
        if len(parts) != self.parts:
            raise TypeError(f"{self.pattern} has {self.parts} parts")
        left = iter(parts)
        return _PART.sub(lambda _: next(left), self.pattern)


_EMPTIED = "emptied as jobs move on"

KEYS: tuple[Key, ...] = (
    Key("job:<id>", "hash", "the record of a job", "records", "TTL once it has ended; the cleanup before that"),
    Key("state:<state>", "zset", "the jobs in a state: active ones by the end (ms) of their lease, delayed ones by "
        "their due time, the others by the instant at which they entered it", "moves", "emptied; the cleanup"),
    Key("org:<org>", "zset", "an organisation's jobs by queuedAt", "records", "the cleanup; TTL since the last wish"),
    Key("failed-code:<code>", "zset", "failed jobs by their error code", "ends", "TTL since the last failure"),
    Key("failed-type:<type>", "zset", "failed jobs by their type", "ends", "TTL since the last failure"),
    Key("failed-org:<org>", "zset", "failed jobs by their organisation", "ends", "TTL since the last failure"),
    Key("failed-bank:<bank>", "zset", "failed jobs by the bank that was being asked", "ends",
        "TTL since the last failure"),
    Key("failed-kind:<code>:<bank>", "zset", "failed jobs by their error code at a bank, which is empty where none "
        "was being asked", "ends", "TTL since the last failure"),
    Key("failed-kinds", "zset", "which of those there are, by their last failure", "ends",
        "TTL since the last failure"),
    Key("pending:<org>", "set", "its unfinished jobs but for the children of batches: what its limit counts", "moves",
        "removed as jobs end"),
    Key("question:<digest>", "string", "the unfinished job that answers a question", "records",
        "removed as the job ends"),
    Key("ring:<lane>", "zset", "organisations with somebody in line, in turn; lanes are manual and scheduled", "lanes",
        _EMPTIED),
    Key("line:<lane>:<org>", "zset", "jobs in line, in their order", "lanes", _EMPTIED),
    Key("held:<connection>", "zset", "jobs that stand aside while their connection is being synced", "lanes", _EMPTIED),
    Key("suspects", "zset", "jobs that were running twice as their worker died: each is started alone", "lanes",
        _EMPTIED),
    Key("unknown:<function>", "zset", "jobs whose function no worker has known so far", "lanes",
        "emptied by a worker that knows it"),
    Key("unknown-since", "hash", "since when (ms), by function", "lanes", "removed by a worker that knows it"),
    Key("quiet", "string", "the worker that makes itself free for a suspect", "starts", "TTL of two leases"),
    Key("lock:<connection>", "string", "the job that runs for the connection", "moves", "removed as the run ends"),
    Key("running:<org>", "set", "its limited jobs that run: scheduled ones and children of batches", "moves",
        "emptied as runs end"),
    Key("starts", "zset", "starts within the limiter's window", "starts", "TTL of the window"),
    Key("children:<batch>", "set", "jobs that a batch waits for", "batches", "with the batch"),
    Key("watchers:<job>", "set", "batches that wait for a job which they have not created", "batches", "with the job"),
    Key("cancelling", "set", "cancelled batches with children left to cancel", "batches", "TTL of a day"),
    Key("psu:<job>", "string", "the person's address of an attended sync", "moves",
        "TTL of minutes; removed as the job ends"),
    Key("reply:<token>", "string", "an answer that may be asked for again because it was lost", "scripts",
        "TTL of a minute"),
    Key("wake", "list", "wakes one idle worker a token; at most 16", "lanes", "emptied by workers with room"),
    Key("worker:<id>", "string", "a worker's heartbeat: host, pid, running, version, seen, lag, trouble", "workers",
        "TTL of two leases"),
    Key("workers", "zset", "worker ids by the time (ms) at which each is forgotten", "workers", "TTL of 30 days"),
    Key("pause", "hash", "until, reason, since", "pause", "removed by resume"),
    Key("serial", "string", "the counter of all orders, fences and stream ids", "clock", "kept"),
    Key("meta", "hash", "ticks served; last start; starts in a row of the manual lane", "starts",
        "kept: one key of fixed size"),
    Key("sweeper", "string", "whose turn it is to sweep", "sweeper", "TTL of the turn"),
    Key("full-look", "string", "whether a full look is due", "sweeper", "TTL of the turn"),
    Key("alerts", "hash", "alerts in force, by code", "sweeper", "removed as they end"),
    Key("quarantine", "list", "members of arq's queue that can't be decoded; at most 1,000", "adoption",
        "TTL of 30 days"),
    Key("events", "stream", "all events but progress", "events", "trimmed by length and age"),
    Key("progress", "stream", "progress, about 10,000 entries", "events", "trimmed by length"),
    Key("index:<org>", "stream", "an organisation's entries of both streams: an id and how many `more`", "events",
        "TTL beyond that of the events"),
    Key("copy:<stream>", "stream", "a stream that is written anew without an erased organisation", "erasing",
        "takes the stream's place; TTL of an hour"),
    Key("erasing", "string", "whose turn it is to erase an organisation", "erasing", "removed; TTL of the turn"),
    Key("idempotency:<digest>", "string", "the answer to a POST", "web", "TTL of 24 h"),
    Key("token:<name>", "string", "a provider's sealed access token, for all workers", "shelf", "TTL of the token"),
    Key("token-turn:<name>", "string", "whose turn it is to make that token", "shelf", "TTL of a minute and a half"),
    Key("notes:<job>", "hash", "what the runs of a sync have done, by account", "notes",
        "TTL of 8 h; removed as the job ends"),
    Key("bank-minute:<bank>:<minute>", "hash", "requests to a bank in a minute, by outcome and by how long "
        "they took, and reads that its quota deferred", "bank figures", "TTL of two hours"),
    Key("bank-hour:<bank>:<hour>", "hash", "the same in an hour", "bank figures", "TTL of two days"),
    Key("bank-quarter:<bank>:<quarter>", "hash", "the same in a quarter of a day", "bank figures", "TTL of eight days"),
    Key("bank:<bank>", "hash", "when a bank answered last, since when it fails, how often in a row, and what of",
        "bank figures", "TTL of eight days"),
    Key("access:<digest>", "zset", "unattended requests of an account and scope", "ledger", "TTL of two days"),
    Key("access-state:<digest>", "hash", "its closure, each connection's failures in a row", "ledger",
        "TTL of a week and more"),
    Key("access-met:<digest>", "string", "when a connection's list of accounts was read", "ledger",
        "TTL of two days"),
)  # fmt: skip

_BY_NAME = {key.name: key for key in KEYS}


class Keys:
    """The key names of one queue."""

    __slots__ = ("prefix", "queue")

    def __init__(self, queue_name: str) -> None:
        #: arq's own queue: an inbox for what strangers enqueue
        self.queue = queue_name
        self.prefix = f"bankimport:{queue_name}:"

    def of(self, name: str, *parts: str) -> str:
        """Return the key of a family's name and its parts, as Lua's `key.<name>` does."""
        return self.prefix + _BY_NAME[name].fill(*parts)

    def job(self, job_id: str) -> str:
        """The record of a job."""
        return self.of("job", job_id)

    def state(self, state: str) -> str:
        """The ids of the jobs in a state."""
        return self.of("state", state)

    @property
    def events(self) -> str:
        """The stream of all events but progress."""
        return self.of("events")

    @property
    def progress(self) -> str:
        """The stream of progress."""
        return self.of("progress")

    @property
    def wake(self) -> str:
        """The list that wakes idle workers."""
        return self.of("wake")


def in_lua(text: str) -> str:
    """Return a Lua text with each `key.<name>(…)` spelled out: functions for them would be made anew at each call.

    Raises:
        KeyError: a name that is not in the table.
    """
    spelled, at = [], 0
    while found := _IN_LUA.search(text, at):
        key, end = _BY_NAME[found[1]], found.end()
        names = list("abc"[: key.parts])
        if is_called := key.parts > 0 and text[end : end + 1] == "(":
            names, end = arguments(text, end)
        quoted = [f"'{piece}'" if piece else "" for piece in _PART.split(key.pattern)]
        parts = chain.from_iterable(zip_longest(quoted, map(in_lua, names), fillvalue=""))
        name = f"({' .. '.join(['P', *filter(None, parts)])})"
        meant = name if is_called or not key.parts else f"function({', '.join(names)}) return {name} end"
        spelled += [text[at : found.start()], meant]
        at = end
    return "".join([*spelled, text[at:]])
