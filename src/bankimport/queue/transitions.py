"""What can be done to jobs and the queue: each method is the script of its name (`lua/<name>.lua`), which says more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bankimport.redis.declaring import Declared, script, word

Row = dict[str, Any]
Runs = list[tuple[str, str]]


class Ended(StrEnum):
    """What became of a run's last word."""

    DONE = "done"
    DELAYED = "delayed"
    FAILED = "failed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    WAITING_CHILDREN = "waiting-children"
    MORE = "more"
    #: the run is another worker's by now
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Claimed:
    """The answer to a claim: its rows (`Claim.parse`), when to look again, how many strangers there are, and whether
    the limit of starts refused some."""

    rows: list[list[bytes]]
    wait: timedelta | None
    strangers: int
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a beat: the runs that are another worker's, those that somebody cancelled, whether anybody is
    in line, and whether work is left for another beat."""

    lost: list[str]
    cancelled: list[str]
    ready: bool
    more: bool


def _ended(answer: bytes) -> Ended:
    return Ended(answer.decode())


def _pairs(answer: Sequence[Sequence[bytes]]) -> list[tuple[str, str]]:
    return [(how.decode(), job_id.decode()) for how, job_id in answer]


def _ids(answer: Sequence[bytes]) -> list[str]:
    return [job_id.decode() for job_id in answer]


def _beat(answer: tuple[Sequence[bytes], Sequence[bytes], bytes, bytes]) -> Beat:
    lost, cancelled, ready, more = answer
    return Beat(_ids(lost), _ids(cancelled), bool(ready), bool(more))


def _claimed(answer: tuple[list[list[bytes]], bytes, int, int]) -> Claimed:
    rows, wait, strangers, limited = answer
    later = timedelta(milliseconds=int(wait)) if int(wait) >= 0 else None
    return Claimed(rows, later, int(strangers), bool(limited))


def _found(answer: tuple[list[bytes], bytes, bytes]) -> tuple[list[bytes], str, bool]:
    ids, cursor, more = answer
    return ids, cursor.decode(), bool(more)


# The bodies say nothing: a signature is all there is to declare.
class Transitions(Declared):
    """The scripts of one queue."""

    # ruff: noqa: A002
    @script(_pairs)
    def enqueue_jobs(self, jobs: list[Row], adopted: str) -> Any: ...

    @script(_claimed)
    def claim_jobs(self, worker: str, number: str, slots: int, busy: int, functions: list[str]) -> Any: ...

    @script(_ids)
    def hear_claims(self, runs: Runs) -> Any: ...

    @script(_ended, joined=True)
    def complete_job(
        self,
        id: str,
        fence: str,
        result: bytes,
        extra: str,
        message: str,
        counts_as: str,
        steps: list[str],
        events: list[tuple[str, str]],
        follow_ups: list[Row],
    ) -> Any: ...

    @script(_ended, joined=True)
    def fail_job(
        self,
        id: str,
        fence: str,
        message: str,
        code: str,
        bank: str,
        delay: int,
        was_cancelled: bool,  # noqa: FBT001  # a script's argument
        result: bytes,
    ) -> Any: ...

    @script(_ended)
    def fan_out_batch(self, id: str, fence: str, children: list[Row], number: int, last: bool) -> Any: ...  # noqa: FBT001  # a script's argument

    @script(_ids)
    def give_back_jobs(self, runs: Runs) -> Any: ...

    @script(word, joined=True)
    def advance_progress(self, id: str, fence: str, steps: list[str]) -> Any: ...

    @script(_beat)
    def beat_worker(self, worker: str, lifetime: timedelta, about: Row, functions: list[str], runs: Runs) -> Any: ...

    @script(word)
    def remove_worker(self, worker: str) -> Any: ...

    @script(word, once=True)
    def cancel_job(self, id: str) -> Any: ...

    @script(word, once=True)
    def retry_job(self, id: str, by_hand: bool) -> Any: ...  # noqa: FBT001  # likewise

    @script(word, once=True)
    def discard_job(self, id: str) -> Any: ...

    @script(word, once=True)
    def pause_queue(self, over: datetime | None, reason: str) -> Any: ...

    @script(word, once=True)
    def resume_queue(self) -> Any: ...

    @script(word, once=True)
    def emit_event(self, name: str, org: str, id: str, fields: str) -> Any: ...

    @script(word)
    def quarantine_member(self, member: bytes, reason: str) -> Any: ...

    @script(word)
    def serve_tick(self, schedule: str, tick: int, missed: bool, job: Row) -> Any: ...  # noqa: FBT001  # likewise

    @script(int)
    def cleanup_jobs(self, state: str, slice: int) -> Any: ...

    @script(_found)
    def find_jobs(
        self,
        index: str,
        before: str,
        wanted: dict[str, str],
        connection: str,
        most: int,
        scan: int,
    ) -> Any: ...
