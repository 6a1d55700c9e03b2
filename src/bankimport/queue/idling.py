"""When a worker looks at the queue: a pure decision over instants (s) and what the last look found."""

#: How often a worker with runs looks without being woken: a second line.
LOOK = 1.0
#: How long an idle worker trusts a look that found nothing, while the length of arq's queue doesn't change; and how
#: often it glances at that.
TRUST = 30.0
GLANCE = 3.0
#: How long after its last job a worker waits with its next claim ready, which costs more than to wait alone.
WARM = 10.0


class IdlePolicy:
    """Told what happens, it says when to look next, and whether a glance at arq's queue will do."""

    def __init__(self) -> None:
        #: when to look next
        self.look_at = 0.0
        self._trust_until = self._warm_until = 0.0
        self._inbox = -1

    def is_warm(self, now: float) -> bool:
        """Whether more work is likely soon."""
        return now < self._warm_until

    def found(self, now: float) -> None:
        """A look has found jobs."""
        self._warm_until = now + WARM

    def woken(self) -> None:
        """Something may start: look at once, and closely."""
        self.look_at = self._trust_until = 0.0

    def full(self, now: float) -> None:
        """There is no place; an ending run wakes."""
        self.look_at = now + LOOK

    def asked(self, now: float) -> None:
        """A look is under way; unless its answer says otherwise the next is due in a second."""
        self.look_at = now + LOOK

    def may_glance(self, now: float) -> bool:
        """Whether the length of arq's queue says enough."""
        return now < self._trust_until

    def glanced(self, now: float, inbox: int) -> bool:
        """Note the length of arq's queue; return whether it is the known one, so that nothing is to be done."""
        if inbox != self._inbox:
            return False
        self.look_at = min(now + GLANCE, self._trust_until)
        return True

    def looked(self, now: float, *, wait: float | None, busy: bool, inbox: int) -> None:
        """Note a look's answer: `wait` in s until something may be startable, `busy` if this worker has or gets runs,
        or was woken meanwhile."""
        due = now + (wait if wait is not None else TRUST)
        self.look_at = min(self.look_at, due) if self.look_at else 0.0
        self._inbox = inbox
        self._trust_until = 0.0 if busy else min(due, now + TRUST)
