"""Python programs begun from an interpreter that has loaded our modules already: a third of the suite's CPU went into
loading them anew for each of its three hundred processes.

What is begun is a process of its own all the same: the program's file is carried out as `__main__`, with its arguments,
environment, directory, output, signals and exit code. What is tested of the start itself (what it loads, what a missing
extra says, the commands of the README) is begun cold, with `subprocess`; the soak and the benchmarks begin everything cold.
"""

import atexit
import contextlib
import gc
import io
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.connection import wait
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

_SOURCES = Path(__file__).parent.parent / "src"
_SERVER = multiprocessing.get_context("forkserver")
#: how a program ended can be read once, and multiprocessing reads it of all at each start
_READING = threading.RLock()


def _modules() -> list[str]:
    """Name what is loaded in advance: arq's command and all modules of ours."""
    files = sorted((_SOURCES / "bankimport").rglob("*.py"))
    names = [".".join(file.relative_to(_SOURCES).with_suffix("").parts) for file in files]
    ours = [
        name.removesuffix(".__init__") for name in names if not name.endswith("__main__") and ".migrations." not in name
    ]
    return ["arq.cli", "aiosqlite", "uvloop", *ours]


@cache
def _paths() -> list[str]:
    """Return where an interpreter looks for modules that was just begun."""
    asked = [sys.executable, "-c", "import sys; print(*sys.path[1:], sep='\\n')"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(asked, env=environment, capture_output=True, check=True, text=True).stdout.splitlines()


def _unbuffered(stream: TextIO) -> io.TextIOWrapper:
    """Return such a stream that keeps nothing back, as PYTHONUNBUFFERED asks for."""
    raw: Any = io.FileIO(stream.fileno(), "w", closefd=False)  # a stream without a buffer, as the interpreter makes it
    return io.TextIOWrapper(raw, encoding=stream.encoding, errors=stream.errors, write_through=True)


def _carry_out(
    command: Sequence[str], environment: Mapping[str, str], directory: str, log: str, errors: str, paths: Sequence[str]
) -> None:
    """Be the program that `command` names, a script, `-m module` or `-c code`; this is the new process."""
    os.setsid()
    os.chdir(directory)
    for number, file in ((1, log), (2, errors)):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdout, sys.stderr = _unbuffered(sys.stdout), _unbuffered(sys.stderr)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    gc.freeze()
    first = {"-m": directory, "-c": ""}.get(command[0], str(Path(command[0]).parent))
    sys.path[:] = [first, *environment.get("PYTHONPATH", "").split(os.pathsep), *paths]
    try:
        _run(list(command))
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except Exception:
        sys.excepthook(*sys.exc_info())
        raise SystemExit(1) from None
    finally:  # as the interpreter's own end does; multiprocessing's leaves them out
        threading._shutdown()  # type: ignore[attr-defined]  # what waits for threads has no public name
        atexit._run_exitfuncs()


def _run(command: list[str]) -> None:
    if command[0] == "-m":
        sys.argv = command[1:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    elif command[0] == "-c":
        sys.argv = ["-c", *command[2:]]
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(command[1], "<string>", "exec"), main.__dict__)
    else:
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")


class Forked:
    """A program that was begun: as much of `subprocess.Popen` as tests need."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], directory: Path, log: Path, errors: Path
    ) -> None:
        _SERVER.set_forkserver_preload(_modules())
        arguments = (list(command), dict(environment), str(directory), str(log), str(errors), _paths())
        self._process = _SERVER.Process(target=_carry_out, args=arguments, daemon=True)
        with _READING:
            self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended, as `Popen.returncode`; None while it runs."""
        return self.poll()

    def poll(self) -> int | None:
        """Return how it ended, or None."""
        with _READING:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code; `TimeoutExpired` after `timeout` seconds."""
        if not wait([self._process.sentinel], timeout) or (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it is over."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
