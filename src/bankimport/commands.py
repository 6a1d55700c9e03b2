"""What goes into the queue: one frozen command a job type, checked wherever it comes from.

A command is the job's payload, so it holds opaque ids and dates only. Two commands with the same `question` ask the
same thing, and while one is unanswered the other is given its job id.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, ValidationError

from bankimport.errors import MalformedData
from bankimport.models import IN_ORDER, Id, JobType, StrictModel, SyncOptions


class Command(StrictModel):
    """What all commands share. `org_id` is the tenant; the queue's own jobs have none (an empty string)."""

    type: ClassVar[JobType]
    #: fields that say who asks, not what is asked; pydantic takes no frozen set
    unasked: ClassVar[set[str]] = {"triggered_by", "scheduled", "trace_parent"}

    org_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{0,128}$")] = ""
    #: an `Asker`, or the words of ours for a sync that asks for itself, which no host can send: they have a blank
    triggered_by: Annotated[str, Field(pattern=r"^[ -~]{1,128}$")] | None = None
    #: the trace of the request that asked, so that the worker's spans are its children (W3C Trace Context)
    trace_parent: Annotated[str, Field(pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")] | None = None
    #: true where a schedule asks; a person's wish (false) goes before it
    scheduled: bool = False

    @property
    def lock(self) -> str:
        """The connection this job needs for itself alone; empty if none."""
        return ""

    def data(self) -> dict[str, Any]:
        """Return the command as the record shows it: camelCase, without what was not said."""
        return self.model_dump(mode="json", exclude_none=True)

    def stored(self) -> str:
        """Return the command as its record keeps it: JSON in camelCase, without the organisation, which stands beside
        it, and without defaults. Short, since there may be a million of them."""
        return self._json({"org_id"}).decode()

    def question(self) -> str:
        """Return a short digest that is equal for equal questions."""
        asked = self.type.value.encode() + self._json(self.unasked)
        return hashlib.blake2b(asked, digest_size=12).hexdigest()

    def _json(self, without: set[str]) -> bytes:
        # `model_dump_json` takes twice as long to pass its twelve parameters on as the writer takes to write
        return self.__pydantic_serializer__.to_json(self, exclude=without, exclude_defaults=True)

    @classmethod
    def restore(cls, stored: Mapping[str, Any], org_id: str) -> Self:
        """Return the command that `stored` was made of.

        Raises:
            MalformedData: it is none.
        """
        return cls.parse({"orgId": org_id, **stored})

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Return the command of an untrusted mapping (names in either case).

        Raises:
            MalformedData: naming the fields that are wrong, never their values.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            fields = ", ".join(sorted({".".join(map(str, e["loc"])) or "(all)" for e in error.errors()}))
            raise MalformedData(f"the arguments of the {cls.type} job are wrong: {fields}") from None


class SyncConnection(Command, SyncOptions):
    """Import one connection."""

    type: ClassVar[JobType] = JobType.SYNC_CONNECTION

    connection_id: Id

    @property
    def lock(self) -> str:
        """One sync of a connection at a time."""
        return self.connection_id

    @property
    def options(self) -> SyncOptions:
        """What the caller chose."""
        return SyncOptions.model_validate(
            {name: getattr(self, name) for name in SyncOptions.model_fields}, by_name=True
        )


class SyncAllOrg(Command):
    """Import every syncable connection of an organisation, or those named."""

    type: ClassVar[JobType] = JobType.SYNC_ALL_ORG

    connection_ids: Annotated[tuple[Id, ...], Field(max_length=10_000), IN_ORDER] | None = None


class RefreshConsents(Command):
    """Re-read the consents that end soon."""

    type: ClassVar[JobType] = JobType.REFRESH_CONSENTS


class Cleanup(Command):
    """Remove the records whose time is over."""

    type: ClassVar[JobType] = JobType.CLEANUP


class PlanSyncs(Command):
    """Give every organisation with a syncable connection its `sync-all-org` of one tick (ms since 1970)."""

    type: ClassVar[JobType] = JobType.PLAN_SYNCS

    tick: int
    scheduled: bool = True


COMMANDS: Mapping[str, type[Command]] = {
    command.type.value: command for command in (SyncConnection, SyncAllOrg, RefreshConsents, Cleanup, PlanSyncs)
}
