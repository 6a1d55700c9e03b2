"""Take a safeguard of the queue away, and see a test fail: `python -m tests.queue.mutations [name …]`.

Each mutation is a text of a script or a module that is replaced by another, and the test that must turn red, at its CI
size. The files are changed in a copy of the package, which the tests then import. Part of `make soak`.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LUA = "src/bankimport/queue/lua"
WALK = "tests/queue/test_random_walk.py"


@dataclass(frozen=True, slots=True)
class Mutation:
    """A safeguard, the text that is it, what stands there without it, and the test that notices."""

    name: str
    file: str
    text: str
    without: str
    test: str


MUTATIONS = (
    Mutation(
        "the fence check of a run's end",
        f"{LUA}/complete_job.lua",
        "job.state ~= 'active' or job.fence ~= fence then",
        "job.state ~= 'active' then",
        "tests/queue/test_transitions.py::test_only_the_owner_ends_a_run",
    ),
    Mutation(
        "the fence check of giving back",
        f"{LUA}/lib/leases.lua",
        "if job and job.state == 'active' and job.fence == fence then return job end",
        "if job and job.state == 'active' then return job end",
        "tests/queue/test_transitions.py::test_only_the_owner_ends_a_run",
    ),
    Mutation(
        "lease renewal",
        f"{LUA}/lib/leases.lua",
        "      call('ZADD', key.state('active'), NOW + LEASE, job.id)\n",
        "",
        "tests/watch/test_health.py::test_a_beat_keeps_leases_and_hears_of_lost_and_cancelled_runs",
    ),
    Mutation(
        "a beat that finds somebody in line",
        "src/bankimport/worker/lifecycle.py",
        "        if beat.ready:\n",
        "        if False:\n",
        "tests/faults/test_crashes.py::test_a_wake_up_that_a_frozen_worker_swallows_is_made_good",
    ),
    Mutation(
        "the notice of stalled runs",
        f"{LUA}/claim_jobs.lua",
        "sweep_stalled()\n",
        "",
        "tests/queue/test_transitions.py::test_the_third_stall_is_the_last",
    ),
    Mutation(
        "the third stall is the last",
        f"{LUA}/lib/leases.lua",
        "tonumber(job.stalls) >= 3",
        "tonumber(job.stalls) >= 30",
        "tests/queue/test_transitions.py::test_the_third_stall_is_the_last",
    ),
    Mutation(
        "deduplication",
        f"{LUA}/enqueue_jobs.lua",
        "if answer and joins(answer, job) then",
        "if false then",
        WALK,
    ),
    Mutation(
        "a question ends with its job",
        f"{LUA}/lib/ends.lua",
        "  if is_answering(job) then gone",
        "  if false then gone",
        WALK,
    ),
    Mutation(
        "the number of a claim's call",
        f"{LUA}/claim_jobs.lua",
        "if IS_AGAIN then",
        "if false then",
        "tests/queue/test_lost_replies.py::test_a_claim_whose_reply_was_lost",
    ),
    Mutation(
        "the answers kept under a token",
        f"{LUA}/lib/moves.lua",
        "if TOKEN ~= '' then call('SET'",
        "if false then call('SET'",
        "tests/queue/test_cancel_and_retry.py::test_a_call_whose_reply_was_lost_is_repeated",
    ),
    Mutation(
        "the connection's lock",
        f"{LUA}/lib/starts.lua",
        "if job.lock == '' or call('SET', key.lock(job.lock), job.id, 'NX') then return true end",
        "if true then return true end",
        "tests/queue/test_asking.py::test_one_sync_of_a_connection_at_a_time",
    ),
    Mutation(
        "the single exit: a run's end frees what it held",
        f"{LUA}/lib/moves.lua",
        "    release(job)\n  elseif",
        "    wake()\n  elseif",
        WALK,
    ),
    Mutation(
        "the single exit: who leaves a line is in it no more",
        f"{LUA}/lib/moves.lua",
        "    leave(job)\n",
        "    wake()\n",
        "tests/queue/test_asking.py::test_an_organisation_without_a_scheduled_job_has_no_turn",
    ),
    Mutation(
        "the table of transitions",
        f"{LUA}/retry_job.lua",
        "if not can(job, 'retry') or (not by_hand and job.state == 'cancelled') then",
        "if false then",
        "tests/queue/test_transitions.py::test_every_operation_in_every_state",
    ),
    Mutation(
        "the wake-up of held jobs",
        f"{LUA}/lib/moves.lua",
        "    free_lock(job.lock)\n",
        "",
        "tests/queue/test_asking.py::test_one_sync_of_a_connection_at_a_time",
    ),
    Mutation(
        "held jobs are woken though the first is cancelled",
        f"{LUA}/lib/lanes.lua",
        "    if not holder_of(job.lock) then free_lock(job.lock) end\n",
        "",
        "tests/queue/test_cancel_and_retry.py::test_held_jobs_are_woken_though_the_first_of_them_is_cancelled",
    ),
    Mutation(
        "the limiter",
        f"{LUA}/claim_jobs.lua",
        "room = RATE_MAX - call('ZCARD', key.starts)",
        "room = RATE_MAX",
        "tests/faults/test_limiter.py::test_no_window_has_more_starts_than_the_limit",
    ),
    Mutation(
        "an organisation's places",
        f"{LUA}/lib/lanes.lua",
        "  if call('SCARD', running) < PLACES then return false end\n",
        "  if true then return false end\n",
        WALK,
    ),
    Mutation(
        "places are given back",
        f"{LUA}/lib/moves.lua",
        "    reopen(job.org)\n",
        "",
        "tests/queue/test_batches.py::test_three_children_run_at_a_time",
    ),
    Mutation(
        "the schedule's start in ten",
        f"{LUA}/claim_jobs.lua",
        "(streak < 9 or even <= 0)",
        "true",
        "tests/queue/test_asking.py::test_one_start_in_ten_is_the_schedules",
    ),
    Mutation(
        "organisations take turns",
        f"{LUA}/lib/starts.lua",
        "call('ZADD', key.ring(lane), int(next_serial()), org)",
        "call('ZADD', key.ring(lane), 0, org)",
        "tests/queue/test_asking.py::test_organisations_take_turns_with_their_wishes",
    ),
    Mutation(
        "the pause",
        f"{LUA}/claim_jobs.lua",
        "if ready and not stopped then\n  begin",
        "if ready then\n  begin",
        WALK,
    ),
    Mutation(
        "a batch waits for the work that it joins",
        f"{LUA}/lib/batches.lua",
        "    call('SADD', key.children(batch.id), job.id)\n    if job.parent",
        "    if job.parent",
        "tests/queue/test_batches.py::test_two_batches_wait_for_one_job",
    ),
    Mutation(
        "a child that is put off ends its part of a batch",
        f"{LUA}/fail_job.lua",
        "tell_delayed(job, delay)\n",
        "",
        "tests/queue/test_batches.py::test_a_child_that_is_delayed_for_long_holds_up_nobody",
    ),
    Mutation(
        "suspects are started alone",
        f"{LUA}/lib/lanes.lua",
        "if tonumber(job.stalls) == SUSPECT then",
        "if false then",
        "tests/queue/test_transitions.py::test_a_suspect_is_started_by_a_worker_that_is_free",
    ),
    Mutation(
        "the first write is one that a full server refuses",
        "src/bankimport/redis/lua/lib/clock.lua",
        "  local last = call('SET', key.serial, from + AT_ONCE, 'GET')",
        "  local last = 0",
        "tests/queue/test_lost_replies.py::test_a_full_server_refuses_before_anything_is_done",
    ),
    Mutation(
        "calls that travel together stand each for itself",
        f"{LUA}/lib/moves.lua",
        "local done, answer = pcall(run, at)",
        "local done, answer = true, run(at)",
        "tests/queue/test_lost_replies.py::test_a_call_that_fails_among_those_that_travel_with_it",
    ),
    Mutation(
        "places that a claim under way has asked for",
        "src/bankimport/queue/claims.py",
        " - self._under_way.places",
        "",
        "tests/queue/test_claims.py::test_claims_under_way_take_no_place_twice",
    ),
    Mutation(
        "what a frozen worker was given while it waited is no stall",
        f"{LUA}/lib/leases.lua",
        "  elseif is_unheard(job.call) then\n",
        "  elseif false then\n",
        "tests/queue/test_wake_ups.py::test_what_a_frozen_worker_was_given_is_nobodys_fault",
    ),
    Mutation(
        "a worker's word that it has what it was given",
        f"{LUA}/lib/leases.lua",
        "      if is_unheard(job.call) then call('HSET', job.key, 'call', heard(job.call)) end\n",
        "",
        "tests/queue/test_wake_ups.py::test_what_a_frozen_worker_was_given_is_nobodys_fault",
    ),
    Mutation(
        "a lost claim is asked for again as one that waits for its answer",
        f"{LUA}/claim_jobs.lua",
        "  number = heard(number) -- this answer is waited for\n",
        "",
        "tests/queue/test_wake_ups.py::test_a_claim_behind_a_wait_that_was_never_carried_out",
    ),
    Mutation(
        "a stopping worker keeps nothing that comes while it waits",
        "src/bankimport/queue/claims.py",
        "self.stopping or self._held.are_company(runs)",
        "self._held.are_company(runs)",
        "tests/queue/test_wake_ups.py::test_what_comes_while_the_worker_stops_does_not_begin",
    ),
    Mutation(
        "a stopping worker waits for its runs",
        "src/bankimport/worker/stopping.py",
        "    await _ended(claims, claims.hooks.grace)\n",
        "",
        "tests/faults/test_shutdown.py::test_a_job_that_ends_within_the_grace_is_finished",
    ),
    Mutation(
        "one half of the runs begins before the other",
        "src/bankimport/queue/claims.py",
        "half = (self.hooks.slots + 1) // 2\n        for run",
        "half = self.hooks.slots\n        for run",
        "tests/queue/test_claims.py::test_half_of_the_places_begin_a_turn_before_the_others",
    ),
    Mutation(
        "an end on its way is not cancelled",
        "src/bankimport/worker/stopping.py",
        "if not run.settled:",
        "if True:",
        "tests/queue/test_running.py::test_an_end_on_its_way_is_written_though_the_grace_is_over",
    ),
    Mutation(
        "the last hook is part of a job's place",
        "src/bankimport/queue/held.py",
        "run.lingers or not run.settled for",
        "not run.settled for",
        "tests/queue/test_running.py::test_the_last_hook_is_part_of_a_jobs_place",
    ),
    Mutation(
        "a run begins with a context of its own",
        "src/bankimport/queue/claims.py",
        "context=self.context.copy()",
        "context=None",
        "tests/queue/test_claims.py::test_a_run_knows_nothing_of_the_one_that_asked_for_it",
    ),
    Mutation(
        "company for a suspect is given back",
        "src/bankimport/queue/claims.py",
        "self.stopping or self._held.are_company(runs)",
        "self.stopping",
        "tests/queue/test_wake_ups.py::test_company_for_a_suspect_is_given_back",
    ),
    Mutation(
        "what stands in arq's queue no more was adopted by another",
        f"{LUA}/enqueue_jobs.lua",
        "if adopted == '1' and call('ZREM', INBOX, job.id) == 0 then",
        "if adopted == '1' and call('ZREM', INBOX, job.id) == 2 then",
        "tests/queue/test_strangers.py::test_who_comes_late_to_a_list_adopts_nothing_twice",
    ),
    Mutation(
        "a question asked twice in one call",
        f"{LUA}/enqueue_jobs.lua",
        "  if job.question ~= '' then asked[job.question] = job end\n",
        "",
        "tests/queue/test_asking.py::test_the_same_question_twice_in_one_call",
    ),
    Mutation(
        "a person behind a schedule in one call",
        f"{LUA}/enqueue_jobs.lua",
        "twin.due, twin.front = '1', job.data, nil, true",
        "twin.due, twin.front = '1', job.data, twin.due, false",
        "tests/queue/test_asking.py::test_in_one_call_a_person_goes_to_the_front_too",
    ),
    Mutation(
        "what one call adds counts against the limit",
        f"{LUA}/enqueue_jobs.lua",
        "  wishes[job.org] = number\n",
        "",
        "tests/queue/test_asking.py::test_an_organisations_limit_of_unfinished_jobs",
    ),
    Mutation(
        "the end of a fence that a completed job keeps",
        f"{LUA}/lib/ends.lua",
        "job.state == 'completed' and last_digits(fence) or fence",
        "fence",
        "tests/queue/test_lost_replies.py::test_an_end_whose_reply_was_lost",
    ),
)


async def survives(mutation: Mutation, slots: asyncio.Semaphore) -> bool:
    """Whether the test passes all the same: nobody would notice."""
    async with slots:
        with tempfile.TemporaryDirectory(prefix="mutation-") as directory:
            copy = Path(directory)
            for name in ("src", "tests", "benchmarks", "examples", "pyproject.toml"):
                source = ROOT / name
                (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)  # type: ignore[operator]  # of one shape
            path = copy / mutation.file
            text = path.read_text()
            if text.count(mutation.text) != 1:
                raise SystemExit(f"{mutation.name}: {mutation.file} has that text {text.count(mutation.text)} times")
            path.write_text(text.replace(mutation.text, mutation.without))
            command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", mutation.test]
            environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "BANKIMPORT_SOAK": ""}
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=copy,
                env=environment,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            return await process.wait() == 0


async def main(names: list[str]) -> int:
    """Try the mutations, two at a time; return how many nobody noticed."""
    wanted = [mutation for mutation in MUTATIONS if not names or mutation.name in names]
    slots = asyncio.Semaphore(2)
    survived = await asyncio.gather(*(survives(mutation, slots) for mutation in wanted))
    for mutation, lives in zip(wanted, survived, strict=True):
        sys.stdout.write(f"{'NOT NOTICED' if lives else 'noticed':12} {mutation.name:60} {mutation.test}\n")
    return sum(survived)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    sys.exit(asyncio.run(main(parser.parse_args().names)))
