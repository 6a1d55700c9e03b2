"""Every Redis key of a queue: made here and nowhere else; the Lua prelude builds the same names from the prefix.

Under the prefix `bankimport:<queue>:`

| key | type | what | its end |
|---|---|---|---|
| job:<id> | hash | the record of a job | TTL once it has ended; the cleanup before that |
| state:<state> | zset | ids by instant (ms) of entering the state | emptied as jobs end; the cleanup |
| org:<org> | zset | an organisation's jobs by queuedAt | the cleanup |
| pending:<org> | string | its unfinished jobs, for the limit | removed at zero |
| ready:manual | zset | manual jobs that may start, in their order | emptied by claims |
| ready:orgs | zset | organisations with scheduled jobs that may start, by last service | emptied by claims |
| ready:org:<org> | zset | their jobs in order | emptied by claims |
| running:<org> | set | scheduled jobs of it that run now | emptied as runs end |
| lock:<connection> | string | the job that runs for the connection | removed as the run ends |
| held:<connection> | zset | jobs waiting for that lock | emptied as runs end |
| unlet:<batch> | list | children not yet let into arq's queue | with the batch |
| children:<batch> | set | children that have not ended | with the batch |
| question:<digest> | string | the job that answers a question | removed as the job ends |
| leases | zset | running jobs by the instant (ms) their lease ends | emptied as runs end |
| starts | zset | starts within the limiter's window | TTL of the window |
| worker:<id> | string | a worker's heartbeat: host, pid, running, version, seen | TTL |
| workers | zset | worker ids by the end of their heartbeat | TTL of a day |
| claims:<worker> | hash | its last claim, for a reply that was lost | TTL of a minute |
| sweeper, full-look | string | whose turn it is to sweep | TTL of the turn |
| psu:<job> | string | the person's address of an attended sync | TTL of minutes; removed as the job ends |
| wake | list | wakes one idle worker a token; at most 16 | TTL |
| pause | hash | until, reason, since | removed by resume |
| meta | hash | counters: fence, clock of the streams, ticks served, health | kept: one key of fixed size |
| alerts | hash | alerts in force, by code | removed as they end |
| quarantine | list | members of arq's queue that can't be decoded; at most 1,000 | TTL of 30 days |
| idempotency:<digest> | string | the answer to a POST | TTL of 24 h |
| access:<digest> | zset | unattended reads of an account and scope | TTL of two days |
| access-state:<digest> | hash | its closure, its failures in a row | TTL of two days and more |
| events, progress | stream | design §7 | trimmed by length and age |
"""

ARQ_JOB = "arq:job:"
ARQ_IN_PROGRESS = "arq:in-progress:"
ARQ_RETRY = "arq:retry:"


class Keys:
    """The key names of one queue."""

    __slots__ = ("prefix", "queue")

    def __init__(self, queue_name: str) -> None:
        self.queue = queue_name
        self.prefix = f"bankimport:{queue_name}:"

    def job(self, job_id: str) -> str:
        """The record of a job."""
        return f"{self.prefix}job:{job_id}"

    def state(self, state: str) -> str:
        """The ids of the jobs in a state."""
        return f"{self.prefix}state:{state}"

    def org(self, org_id: str) -> str:
        """The jobs of an organisation."""
        return f"{self.prefix}org:{org_id}"

    def psu(self, job_id: str) -> str:
        """The person behind an attended sync."""
        return f"{self.prefix}psu:{job_id}"

    def worker(self, worker_id: str) -> str:
        """A worker's heartbeat."""
        return f"{self.prefix}worker:{worker_id}"

    def idempotency(self, digest: str) -> str:
        """The answer to a POST with an `Idempotency-Key`."""
        return f"{self.prefix}idempotency:{digest}"

    @property
    def events(self) -> str:
        """The stream of all events but progress."""
        return f"{self.prefix}events"

    @property
    def progress(self) -> str:
        """The stream of progress."""
        return f"{self.prefix}progress"

    @property
    def wake(self) -> str:
        """The list that wakes idle workers."""
        return f"{self.prefix}wake"

    @property
    def workers(self) -> str:
        """The ids of the workers."""
        return f"{self.prefix}workers"

    @property
    def alerts(self) -> str:
        """The alerts in force."""
        return f"{self.prefix}alerts"

    @property
    def meta(self) -> str:
        """Counters."""
        return f"{self.prefix}meta"

    @property
    def quarantine(self) -> str:
        """What could not be decoded."""
        return f"{self.prefix}quarantine"
