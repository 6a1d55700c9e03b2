"""`python -m benchmarks peers`: the same work by BullMQ on Node, its Python port, SAQ and us, on one server in turn.

The work: attempts with waits, retention, deduplication, five steps of progress, a result; ten at a time. The peers are
installed beside the benchmarks, into `.venv-peers/`, on the first run (npm and pip are needed).
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.processes import Running
from tests.waiting import wait_until

from benchmarks.bench import NO_LIMITS, OUR_QUEUE, Bench, note
from benchmarks.table import percentile

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HOME = ROOT / ".venv-peers"
PYTHON = str(HOME / "py" / "bin" / "python")
ARQ = str(Path(sys.executable).parent / "arq")


@dataclass(frozen=True, slots=True)
class Peer:
    """A queue: its worker, its producer, and how many of its jobs have ended."""

    name: str
    worker: Sequence[str]
    producer: Sequence[str]
    ready: str
    ended: Callable[[Any, int], bool]
    workers: int = 1


def _bullmq(admin: Any, number: int) -> bool:
    return bool(admin.zcard("bull:peers:completed") >= number)


def _saq(admin: Any, _: int) -> bool:
    return bool(admin.zcard("saq:peers:incomplete") == 0)


def _ours(admin: Any, number: int) -> bool:
    return bool(admin.zcard(f"bankimport:{OUR_QUEUE}:state:completed") >= number)


NODE = ("node", str(HOME / "bullmq.mjs"))
PORT = (PYTHON, str(HERE / "bullmq_port.py"))
SAQ = (PYTHON, str(HERE / "saq_app.py"))
MINE = ((ARQ, "benchmarks.peers.ours.WorkerSettings"), (sys.executable, "-m", "benchmarks.peers.ours"))
PEERS = (
    Peer("bankimport", *MINE, ready="", ended=_ours),
    Peer("BullMQ Node", (*NODE, "work"), NODE, ready="ready", ended=_bullmq),
    Peer("BullMQ Python", (*PORT, "work"), PORT, ready="ready", ended=_bullmq),
    Peer("SAQ", (*SAQ, "work"), SAQ, ready="ready", ended=_saq),
    Peer("bankimport, two workers", *MINE, ready="", ended=_ours, workers=2),
)
#: figure -> unit
FIGURES = {
    "full jobs a second": "/s",
    "worker CPU a full job": "ms",
    "server CPU a full job": "µs",
    "commands a full job": "",
    "bytes a finished job": "B",
    "enqueue one by one": "/s",
    "enqueue in bulk": "/s",
    "pick-up p50": "ms",
    "pick-up p99": "ms",
}


def install() -> None:
    """Install the peers, once."""
    if not (HOME / "node_modules").exists():
        HOME.mkdir(exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", str(HOME), "bullmq", "ioredis"], check=True)
    if not Path(PYTHON).exists():
        subprocess.run([sys.executable, "-m", "venv", str(HOME / "py")], check=True)
        subprocess.run(
            [PYTHON, "-m", "pip", "install", "--quiet", "bullmq", "saq[redis]", "typing_extensions"], check=True
        )
    shutil.copy(HERE / "bullmq.mjs", HOME)  # Node looks for its modules beside the program


class Measured:
    """One peer's figures, a value a repeat."""

    def __init__(self, bench: Bench, peer: Peer) -> None:
        self._bench, self._peer = bench, peer
        self.values: dict[str, list[float]] = {figure: [] for figure in FIGURES}
        self._environment = {
            "PEERS_PORT": str(bench.valkey.port),
            "REDIS_URL": bench.url,
            "PYTHONPATH": str(ROOT),
            **NO_LIMITS,
            "BANK_SYNC_LOG_LEVEL": "WARNING",
        }

    async def once(self) -> None:
        """Measure everything once, each on an empty database."""
        bench, number = self._bench, self._bench.count(2000)
        for kind, count in (("one", bench.count(4000)), ("bulk", bench.count(10_000))):
            bench.admin.flushall()
            seconds = await self._produce(kind, count)
            self.values["enqueue one by one" if kind == "one" else "enqueue in bulk"].append(count / seconds)
        bench.admin.flushall()
        workers = [await self._worker() for _ in range(self._peer.workers)]
        pids = [worker.pid for worker in workers]
        warm = bench.count(2500)  # streams of about 10,000 entries, ours of progress and BullMQ's of events, are full
        await self._produce("one", warm)
        await wait_until(lambda: self._peer.ended(bench.admin, warm), 60, what="the warm-up")
        memory = bench.admin.info("memory")["used_memory"]
        with bench.frozen(pids):
            await self._produce("bulk", number)
            server = self._server()
        used = await bench.used(pids, lambda: self._peer.ended(bench.admin, number + warm))
        self.values["full jobs a second"].append(number / used.seconds)
        self.values["worker CPU a full job"].append(used.cpu / number * 1000)
        self.values["server CPU a full job"].append((self._server() - server) / number * 1e6)
        self.values["commands a full job"].append(used.commands / number)
        self.values["bytes a finished job"].append(max(0, bench.admin.info("memory")["used_memory"] - memory) / number)
        bench.admin.delete("peers:waits")
        await self._produce("picks", bench.count(200))
        await wait_until(lambda: bench.admin.llen("peers:waits") >= bench.count(200), 30, what="the pick-ups")
        waits = sorted(float(wait) for wait in bench.admin.lrange("peers:waits", 5, -1))
        self.values["pick-up p50"].append(percentile(waits, 0.5))
        self.values["pick-up p99"].append(percentile(waits, 0.99))
        for worker in workers:
            worker.kill()

    def _server(self) -> float:
        cpu = self._bench.admin.info("cpu")
        return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])

    async def _worker(self) -> Running:
        beats = f"bankimport:{OUR_QUEUE}:workers"
        before = self._bench.admin.zcard(beats)
        worker = self._bench.processes.start("peer", list(self._peer.worker), self._environment)
        if self._peer.ready:
            await worker.line(self._peer.ready, timeout=60)
        else:  # ours says so in Redis
            await wait_until(lambda: self._bench.admin.zcard(beats) > before, 60, what="a worker")
        return worker

    async def _produce(self, kind: str, number: int) -> float:
        process = await asyncio.create_subprocess_exec(
            *self._peer.producer,
            "produce",
            kind,
            str(number),
            env={**os.environ, **self._environment},
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        out, _ = await process.communicate()
        return float(json.loads(out.decode().splitlines()[-1])["seconds"])


async def measure(bench: Bench) -> str:
    """Return the table: medians, and ours as a ratio of BullMQ's on Node."""
    install()
    measured = {peer.name: Measured(bench, peer) for peer in PEERS}
    for repeat in range(bench.repeats):
        for name, one in measured.items():
            note(f"  peers, {repeat + 1} of {bench.repeats}: {name} (load {os.getloadavg()[0]:.2f})")
            await one.once()
    names = list(measured)
    lines = [("figure", *names, "ours ÷ Node", "ours ÷ Python port"), ("---",) * (len(names) + 3)]
    for figure, unit in FIGURES.items():
        values = {name: median(one.values[figure]) for name, one in measured.items()}
        ours = values["bankimport"]
        ratios = [f"{ours / values[name]:.2f} ×" if values[name] else "–" for name in ("BullMQ Node", "BullMQ Python")]
        cells = [f"{value:.3g}" if value < 1000 else f"{value:,.0f}" for value in values.values()]
        lines.append((f"{figure} {unit}".strip(), *cells, *ratios))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
