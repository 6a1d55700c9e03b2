"""What tests write is kept in memory where there is room for it: the same files and servers, and no disk to wait for."""

import os
import re
import shutil
import tempfile
from multiprocessing.util import Finalize
from pathlib import Path

_MEMORY = Path("/dev/shm")
#: Three servers of PostgreSQL with their hundreds of databases take about one and a half.
_ROOM = 4 * 2**30


def write_to_memory() -> None:
    """Let this process and those it starts make their temporary files in memory, in a directory that goes with this one.

    Whoever has set `TMPDIR` has chosen a place.
    """
    if "TMPDIR" in os.environ or not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _ROOM:
        return
    _sweep()
    directory = tempfile.mkdtemp(prefix=f"bankimport-{os.getpid()}-", dir=_MEMORY)
    Path(directory).chmod(0o755)  # PostgreSQL runs as a user of its own
    # after -100, at which multiprocessing removes what it has there
    Finalize(None, shutil.rmtree, (directory,), {"ignore_errors": True}, exitpriority=-200)
    os.environ["TMPDIR"], tempfile.tempdir = directory, None


def _sweep() -> None:
    """Remove what a run that was killed has left."""
    for left in _MEMORY.glob("bankimport-*"):
        begun = re.match(r"bankimport-(\d+)-", left.name)
        if begun and not Path(f"/proc/{begun[1]}").exists():
            shutil.rmtree(left, ignore_errors=True)
