"""The stream of events, from the reader's side. It is written by the queue's scripts alone."""

from bankimport.stream.chunk import Chunk
from bankimport.stream.event_stream import EventStream
from bankimport.stream.follower import Follower, FollowerEnded
from bankimport.stream.groups import groups_behind
from bankimport.stream.job_ends import behind
from bankimport.stream.names import matches, matches_any
from bankimport.stream.position import Position
from bankimport.stream.rewriting import rewritten
from bankimport.stream.stopping import stop

__all__ = [
    "Chunk",
    "EventStream",
    "Follower",
    "FollowerEnded",
    "Position",
    "behind",
    "groups_behind",
    "matches",
    "matches_any",
    "rewritten",
    "stop",
]
