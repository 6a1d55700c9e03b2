"""A bank of bare sockets in a thread of its own: it sends what it is told, byte by byte, and counts who comes."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

#: what a bank does with a member's connection after it has read the request
Answer = Callable[[socket.socket, bytes], None]


class SocketBank:
    """Answers every request as `answer` says; each connection serves one."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.answer: Answer = lambda member, request: None
        self.connections = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                member, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._member, args=(member,), daemon=True).start()

    def _member(self, member: socket.socket) -> None:
        with member, suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request and (part := member.recv(65_536)):
                request += part
            if request:
                self.answer(member, request)
                member.shutdown(socket.SHUT_RDWR)

    def drip(self, member: socket.socket, data: bytes, pause: float = 0.02) -> None:
        """Send a byte at a time until the other side has had enough."""
        for position in range(len(data)):
            member.sendall(data[position : position + 1])
            if self._stopped.wait(pause):
                return

    def flood(self, member: socket.socket, data: bytes) -> None:
        """Send the same again and again, for as long as anybody reads."""
        end = time.monotonic() + 20
        while not self._stopped.is_set() and time.monotonic() < end:
            member.sendall(data)

    def hold(self) -> None:
        """Say nothing more until the test is over."""
        self._stopped.wait(20)

    def close(self) -> None:
        """Stop listening."""
        self._stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@contextmanager
def socket_bank() -> Iterator[SocketBank]:
    """A bank until the block ends."""
    bank = SocketBank()
    try:
        yield bank
    finally:
        bank.close()


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return an answer with its length."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += ["Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def sends(data: bytes) -> Answer:
    """Return an answer that is these bytes."""
    return lambda member, request: member.sendall(data)
