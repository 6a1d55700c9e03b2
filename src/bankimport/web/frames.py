"""Events as bytes on the wire: made once for all followers of an organisation."""

from collections.abc import Sequence

from bankimport.events import Event

_FIN_TEXT = 0x81


def envelope(event: Event) -> bytes:
    """Return the event as one line of JSON."""
    return event.model_dump_json().encode()


def server_sent(events: Sequence[Event]) -> bytes:
    """Return the events as Server-Sent Events. They carry no `event:` field, so that `onmessage` hears them all."""
    return b"".join(b"id: %s\ndata: %s\n\n" % (event.id.encode(), envelope(event)) for event in events)


def web_socket(events: Sequence[Event]) -> bytes:
    """Return the events as text frames of a server (RFC 6455, 5.2): final, not masked, not compressed."""
    return b"".join(_frame(envelope(event)) for event in events)


def _frame(payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((_FIN_TEXT, length)) + payload
    if length < 65_536:
        return bytes((_FIN_TEXT, 126)) + length.to_bytes(2) + payload
    return bytes((_FIN_TEXT, 127)) + length.to_bytes(8) + payload
