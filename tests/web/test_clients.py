"""The description is what the routes do: asked by schemathesis, and by clients that generators make of it."""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import Processes, Valkey, clean_environment, free_port
from tests.soak import SOAK

HERE = Path(__file__).parent
#: questions to each operation
EXAMPLES = os.environ.get("BANKIMPORT_EXAMPLES", "500" if SOAK else "5")
#: of one operation without others: no links lead there
ALONE = "examples,coverage,fuzzing"
BINARIES = Path(sys.executable).parent
#: What a valid request may be answered: a day in the future, for one, is valid JSON and no valid wish. A wrong body that
#: is too large besides is refused for that.
CONFIG = """[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 422, 429, 503]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 413, 415, 422, 428]
"""


@dataclass(frozen=True)
class Serving:
    """A host that serves, two of its jobs and an account."""

    url: str
    jobs: str
    account: str


@pytest.fixture(scope="module")
def serving(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A host with everything, as a process of its own."""
    processes = Processes(tmp_path_factory.mktemp("whole-host"))
    port = free_port()
    environment = {
        "REDIS_URL": valkey.url(valkey.databases - 40),
        "BANK_SYNC_DATABASE_URL": f"sqlite+aiosqlite:///{processes.directory}/bank.db",
        "BANK_SYNC_LOG_LEVEL": "ERROR",
    }
    try:
        host = processes.python("whole-host", str(HERE / "whole_host.py"), str(port), environment=environment)
        _, jobs, account = host.line_sync("serving").split()[-3:]
        yield Serving(f"http://127.0.0.1:{port}/api", jobs, account)
    finally:
        processes.end()


def test_schemathesis_finds_nothing(serving: Serving, tmp_path: Path) -> None:
    """All checks of schemathesis, its links from answer to request too: no 5xx, no undocumented answer, no answer
    beside its schema, nothing accepted that the schema forbids. Red before: 28 failures.

    A scenario of linked requests that is answered otherwise than when it was tried first, since the queue has moved on,
    ends schemathesis' line of scenarios without a word: new lines are begun until there were as many as are asked for.
    Red before: 30 scenarios for 500 examples, and a body of one control character was taken for an empty one."""
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    others = ("--exclude-path-regex", "/events$", "--exclude-operation-id", "revoke")  # a stream of events has no end
    followed = _schemathesis(serving, tmp_path, 1, *others)
    lines = 1
    while followed < int(EXAMPLES):
        lines += 1
        followed += _schemathesis(serving, tmp_path, lines, *others, "--phases", "stateful")
    print(f"{followed} scenarios of linked requests in {lines} lines")
    _schemathesis(
        serving, tmp_path, 1, "--include-operation-id", "revoke", "--phases", ALONE
    )  # last: no connection is left after it
    headers = {"Authorization": "Bearer token", "Content-Type": "application/json"}
    resume = urllib.request.Request(f"{serving.url}/queue/resume", b"{}", headers)  # it has paused the queue for years
    with urllib.request.urlopen(resume) as resumed:
        assert resumed.status == 200


def _schemathesis(serving: Serving, directory: Path, seed: int, *options: str) -> int:
    """Run it; return how many scenarios of linked requests it has tried."""
    command = [str(BINARIES / "schemathesis"), "--config-file", "schemathesis.toml", "run"]
    command += [
        f"{serving.url}/openapi.json",
        "--checks",
        "all",
        "--no-color",
        "-H",
        "Authorization: Bearer token",
        "--max-examples",
        EXAMPLES,
    ]
    if not SOAK:
        command += ["--seed", str(seed)]  # the same questions in each run of CI; the long version asks new ones
    hooks = {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)}
    hooks |= {"REAL_JOBS": serving.jobs, "REAL_ACCOUNT": serving.account}
    answer = subprocess.run(
        [*command, *options],
        cwd=directory,
        env=clean_environment(**hooks),
        capture_output=True,
        text=True,
        timeout=7000,
    )
    assert answer.returncode == 0, answer.stdout[-8000:] + answer.stderr[-2000:]
    return sum(map(int, re.findall(r"Stateful \(in .*\n\s+Scenarios: +(\d+)", answer.stdout)))


PYTHON_CLIENT = """
import sys, time
from bankimport_client import AuthenticatedClient
from bankimport_client.api.syncs import sync
from bankimport_client.api.jobs import job
from bankimport_client.models import SyncBody, Accepted, SyncConnectionJob, SyncResult, Problem

client = AuthenticatedClient(base_url=sys.argv[1], token="token")
accepted = sync.sync("acme", "sparen", client=client, body=SyncBody(force_full_sync=True))
assert isinstance(accepted, Accepted), accepted
for _ in range(20):
    found = job.sync("acme", accepted.job_id, client=client, wait=10)
    assert isinstance(found, SyncConnectionJob), found
    if found.state == "completed":
        break
assert isinstance(found.result, SyncResult), found
assert found.result.success is True
missing = job.sync("acme", "nix", client=client)
assert isinstance(missing, Problem) and missing.code == "not-found", missing
print("completed", found.id)
"""


@pytest.mark.soak
def test_a_generated_python_client_runs_a_sync(serving: Serving, tmp_path: Path) -> None:
    """`openapi-python-client` makes a client that asks for a sync and reads its typed result. It has an environment of
    its own: it wants an older typer than the page of our command line is made with."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    own = tmp_path / "venv" / "bin"
    subprocess.run([str(own / "pip"), "install", "-q", "openapi-python-client>=0.26"], check=True, timeout=600)
    environment = clean_environment(PATH=f"{own}{os.pathsep}{os.environ['PATH']}", COLUMNS="200")
    generate = [str(own / "openapi-python-client"), "generate", "--url", f"{serving.url}/openapi.json"]
    made = subprocess.run(generate, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250)
    assert made.returncode == 0, made.stdout + made.stderr
    assert "WARNING parsing" not in made.stdout
    program = tmp_path / "program.py"
    program.write_text(PYTHON_CLIENT)
    environment["PYTHONPATH"] = str(tmp_path / "bankimport-client")
    command = [str(own / "python"), str(program), serving.url]
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.startswith("completed")


TYPESCRIPT_CLIENT = """
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const client = createClient<paths>({ baseUrl: process.argv[2]!, headers: { Authorization: "Bearer token" } });
const path = { orgId: "acme", id: "sparen" };
const sync = await client.POST("/organisations/{orgId}/bank-connections/{id}/sync",
  { params: { path }, body: { forceFullSync: true } });
if (!sync.data) throw new Error(sync.error.code);
for (let tries = 0; tries < 20; tries++) {
  const { data, error } = await client.GET("/organisations/{orgId}/bank-connections/jobs/{jobId}",
    { params: { path: { orgId: "acme", jobId: sync.data.jobId }, query: { wait: 10 } } });
  if (!data) throw new Error(error?.code);
  if (data.type === "sync-connection" && data.state === "completed") {
    console.log("completed", data.result?.transactionsSynced);
    process.exit(0);
  }
}
process.exit(1);
"""


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_a_generated_typescript_client_runs_a_sync(serving: Serving, tmp_path: Path) -> None:
    """`openapi-typescript` makes types under which a client compiles, and runs one sync."""
    (tmp_path / "package.json").write_text('{"name": "client", "type": "module", "private": true}')
    (tmp_path / "main.ts").write_text(TYPESCRIPT_CLIENT)
    packages = ["openapi-typescript", "openapi-fetch", "typescript@5", "@types/node"]
    options = ["--strict", "--noEmit", "false", "--module", "nodenext", "--target", "es2022", "--skipLibCheck"]
    for command in (
        ["npm", "install", "--silent", *packages],
        ["npx", "openapi-typescript", f"{serving.url}/openapi.json", "-o", "api.ts"],
        ["npx", "tsc", *options, "--types", "node", "main.ts", "api.ts"],
        ["node", "main.js", serving.url],
    ):
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
    assert answer.stdout.startswith("completed")
