"""The commands and programs that the documentation shows, run to the letter."""

import contextlib
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from aiohttp import ClientSession, CookieJar
from aiohttp.test_utils import TestClient, TestServer

from tests.acceptance.conftest import Deploy
from tests.processes import ROOT, Processes, clean_environment, free_port

README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs" / "tutorial" / "first-import.md").read_text()
BINARIES = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
CURL = re.findall(r"<!-- curl -->\n```sh\n(.*?)```", README, re.DOTALL)[0]


def bash(script: str, directory: Path, options: str = "-euo") -> "subprocess.CompletedProcess[str]":
    """Run a script in one bash, with our commands on its path; end whatever it leaves running.

    By default it ends at the first failure.
    """
    command = ["bash", options, "pipefail", "-c", script]
    environment = clean_environment(PATH=BINARIES)
    with (directory / "out").open("w+") as out, (directory / "err").open("w+") as err:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdout=out,
            stderr=err,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = process.wait(100)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    printed = [(directory / name).read_text() for name in ("out", "err")]
    return subprocess.CompletedProcess(command, code, *printed)


def test_make_demo() -> None:
    """The program of `make demo` shows a person who connects a bank, a bar that comes to 100 %, the rows and the queue's
    numbers; within a minute."""
    began = time.monotonic()
    answer = subprocess.run(
        [sys.executable, "examples/demo.py"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for part in (
        "is sent to the bank",
        "anna consents",
        "connected",
        "100%",
        "Accounts",
        "Balances",
        "The last transactions",
        "Queue: healthy",
        "completed 1",
    ):
        assert part in answer.stdout, answer.stdout
    assert time.monotonic() - began < 60


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_readmes_lines_work_beside_make_serve(processes: Processes, tmp_path: Path) -> None:
    """The README's block of curl lines works as printed while `bankimport up` runs, which is `make serve`."""
    assert re.search(r"^serve:.*\n\t@\S+/bankimport up ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    port = free_port()
    served = processes.python("serve", "-m", "bankimport", "up", "--port", str(port))
    commands = (await served.line("Commands:")).partition("terminal:")[2]
    await served.line("Ctrl-C ends it")
    assert "sync-connection" in bash(commands, tmp_path, "-uo").stdout
    block = CURL.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    answer = bash(block, tmp_path, "-uo")  # its last curl ends by its time limit, which is a failure to curl
    assert answer.returncode == 28, answer.stderr
    for part in (
        '"jobId"',
        '"state"',
        '"isHealthy"',
        '"waitingChildren"',
        "bankimport_workers 1.0",
        '"name":"bank.job.completed"',
    ):
        assert part in answer.stdout, answer.stdout

    children = psutil.Process(served.pid).children(recursive=True)
    assert len(children) >= 2
    assert served.stop(30) == 0
    assert [child for child in children if child.is_running()] == []


async def test_a_person_connects_beside_make_serve(processes: Processes) -> None:
    """`bankimport up` prints an address that leads to the bank's page, and from there back into the pages."""
    served = processes.python("serve", "-m", "bankimport", "up", "--port", str(free_port()))
    link = (await served.line("Open this:")).split()[-1]
    address = (await served.line("/connect")).split()[-1]
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser:
        async with browser.get(address) as refused:
            assert refused.status == 403
        async with browser.get(link) as pages:
            assert pages.status == 200
        async with browser.get(address) as bank:
            assert "Sandbox Bank" in await bank.text()
        async with browser.post(bank.url, data={"person": "anna", "decision": "consent"}) as back:
            assert (back.status, back.url.path, back.url.query["outcome"]) == (
                200,
                "/api/dashboard/connections",
                "connected",
            )
            assert back.url.query["connection"] in await back.text()
    assert served.stop(30) == 0


async def test_the_ten_lines_of_a_host(deploy: Deploy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The README's host serves the routes to those its `authorize` lets in."""
    deployment = deploy(worker=False)
    deployment.add_connection("giro")
    for name, value in deployment.environment.items():
        monkeypatch.setenv(name, value)
    program = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "add_subapp" in block)
    (tmp_path / "host.py").write_text(program)
    app = runpy.run_path(str(tmp_path / "host.py"), run_name="host")["app"]
    async with TestClient(TestServer(app)) as client:
        url = "/api/organisations/acme/bank-connections/giro/sync"
        assert (await client.post(url, json={})).status == 403
        assert (await client.post(url, json={}, headers={"X-User": "member-of-acme"})).status == 202


def test_the_readmes_commands_for_a_deployment(redis_url: str, tmp_path: Path) -> None:
    """The README's commands bring up the schema, add a connection and start a worker."""
    block = next(block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "pip install" in block)
    lines = [line for line in block.splitlines() if not line.startswith("pip ")]
    script = "\n".join(lines).replace("redis://localhost", redis_url)
    assert lines[-1] == "arq bankimport.WorkerSettings"
    started_and_ended = (
        f"{lines[-1]} > worker.log 2>&1 & WORKER=$!\n"
        "until grep worker.started worker.log; do kill -0 $WORKER; sleep 0.1; done\n"
        "kill $WORKER; wait $WORKER\n"
    )
    script = script.replace(lines[-1], started_and_ended)
    answer = bash(script, tmp_path)
    assert "giro" in answer.stdout
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "worker.started" in answer.stdout


def test_the_tutorial(tmp_path: Path) -> None:
    """The blocks of the tutorial, one after the other in one shell, end with rows on the screen and nothing left
    running."""
    blocks = re.findall(r"```(sh|python)\n(.*?)```", TUTORIAL, re.DOTALL)
    assert "pip install" in blocks[0][1]
    script = []
    for kind, text in blocks[1:]:
        script.append(text if kind == "sh" else f"cat > sync.py <<'END_OF_FILE'\n{text}END_OF_FILE")
    assert script[-1].startswith("kill ")
    script.append("wait\necho everything has ended\n")
    ports = {"6399": str(free_port()), "8099": str(free_port())}
    answer = bash(re.sub("6399|8099", lambda found: ports[found[0]], "\n".join(script)), tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "bank.job.completed" in answer.stdout
    assert re.search(r"completed \d{3} transactions", answer.stdout), answer.stdout
    assert "everything has ended" in answer.stdout
    assert len(re.findall(r"^\d{4}-\d\d-\d\d -?\d+\.\d\d EUR|USD ", answer.stdout, re.MULTILINE)) >= 1


def test_the_example_host_ends_on_sigterm(processes: Processes, deploy: Deploy) -> None:
    """examples/host_service.py ends cleanly when it is told to."""
    deployment = deploy(worker=False)
    host = next(running for running in deployment.processes.started if running.name == "host")
    host.signal(signal.SIGTERM)
    assert host.process.wait(20) == 0
