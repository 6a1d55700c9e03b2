"""What a bank's settings may say: a model for each kind of API, whose reference page is made from it.

A bank differs from the standard in known ways (banking.md §4.13); each is an option here, none is a guess in the code.
"""

import difflib
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bankimport.errors import InvalidSettings
from bankimport.models import BankAccount, Capabilities, IdQuality, Scope, TransactionStatus
from bankimport.providers.http import Limits

_BOTH: Final = (TransactionStatus.BOOKED, TransactionStatus.PENDING)
FieldName = Annotated[str, Field(min_length=1, max_length=64)]


class Options(BaseModel):
    """What all kinds have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    name: str = Field(
        default="bank", min_length=1, description="how the bank is called in our logs and the access ledger"
    )
    unattended_limit: int | None = Field(
        default=4,
        ge=0,
        description="reads in 24 hours without the person (RTS Art. 36(5)(b)); null where a contract allows any",
    )
    unattended_scopes: tuple[Literal["consent", "accounts", "balances", "transactions"], ...] = Field(
        default=("accounts", "balances", "transactions"), description="what the bank counts"
    )
    unattended_allowed: bool = Field(default=True, description="whether the bank answers without the person at all")
    quota_day: Literal["rolling", "calendar"] = Field(
        default="rolling", description="whether the bank counts any 24 hours, or the days of its calendar"
    )
    timezone: str = Field(default="Europe/Berlin", description="where its calendar is; an IANA name")
    pages_count: bool = Field(default=False, description="whether each page counts as a read of its own")
    max_history: timedelta = Field(
        default=timedelta(days=90), gt=timedelta(0), description="how far back the bank answers"
    )
    id_quality: Literal["strong", "weak"] = Field(
        default="strong", description="whether an id names one transaction for ever (`strong`) or only hints (`weak`)"
    )
    private_network: bool = Field(
        default=False,
        description="whether the bank's name may lead to an address of a private network, as a gateway's does",
    )
    clock: Callable[[], datetime] = Field(
        default=lambda: datetime.now(UTC), description="in code only: what time it is, for simulations"
    )
    limits: Limits = Field(default=Limits(), description="what is accepted of the bank: bytes, nesting, pages, time")

    @model_validator(mode="before")
    @classmethod
    def _days(cls, given: Any) -> Any:
        """Take `max_history_days`, as the environment writes a duration."""
        if isinstance(given, Mapping) and "max_history_days" in given:
            days = given["max_history_days"]
            if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= 3650:
                raise ValueError("max_history_days must be 1 to 3650")
            return {
                "max_history": timedelta(days=days),
                **{name: value for name, value in given.items() if name != "max_history_days"},
            }
        return given


class Inverted(BaseModel):
    """Where a bank turns the sign; what is left empty stands for all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accounts: tuple[str, ...] = Field(default=(), description="accounts by kind (`CARD`), name or resource id")
    statuses: tuple[Literal["booked", "pending"], ...] = Field(default=(), description="`booked`, `pending`")

    def applies(self, account: BankAccount | None, status: TransactionStatus) -> bool:
        """Return whether the amounts of such entries are turned."""
        if self.statuses and status.value not in self.statuses:
            return False
        if not self.accounts:
            return True
        names = (
            {each.casefold() for each in (account.kind, account.name, account.provider_id) if each} if account else {}
        )
        return any(wanted.casefold() in names for wanted in self.accounts)


class ReadingOptions(BaseModel):
    """How the bank's entries differ from the standard."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id_fields: tuple[FieldName, ...] | None = Field(
        default=None, min_length=1, max_length=8, description="which fields hold the bank's id of an entry, best first"
    )
    ignore_ids: bool = Field(default=False, description="the bank's ids name no entry (shared or new in each answer)")
    skip_ids: tuple[FieldName, ...] = Field(
        default=(),
        description="beginnings of ids under which the bank shows an entry a second time: such a row is left out",
    )
    invert_amounts: bool | Inverted = Field(
        default=False, description="the bank turns the sign: of all amounts, or of some `accounts` or `statuses`"
    )
    billed_amount_after: str | None = Field(
        default=None,
        min_length=1,
        description="words of the text after which the amount billed stands, in the account's currency",
    )

    def inverts(self, account: BankAccount | None, status: TransactionStatus) -> bool:
        """Return whether the amounts of such entries are turned."""
        rule = self.invert_amounts
        return rule if isinstance(rule, bool) else rule.applies(account, status)


class ProviderOptions(Options, ReadingOptions):
    """What the providers of this package have in common."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, KeyError, OSError):  # no name, none that is known, a folder
            raise ValueError("an IANA name is needed, such as Europe/Berlin") from None
        return name

    def capabilities(self, *, statuses: Collection[TransactionStatus] = _BOTH, delta: bool = False) -> Capabilities:
        """Return what the bank can do and allows, as the options say it."""
        return Capabilities(
            max_history=self.max_history,
            statuses=frozenset(statuses),
            id_quality=IdQuality(self.id_quality),
            quota_scopes=frozenset(map(Scope, self.unattended_scopes)),
            unattended_limit=self.unattended_limit,
            quota_zone=ZoneInfo(self.timezone) if self.quota_day == "calendar" else None,
            pages_count=self.pages_count,
            unattended_allowed=self.unattended_allowed,
            delta=delta,
        )


OptionsT = TypeVar("OptionsT", bound=BaseModel)


def read_options(model: type[OptionsT], given: Mapping[str, Any]) -> OptionsT:
    """Return the options.

    Raises:
        InvalidSettings: naming the field that is wrong and the nearest right one, never a value.
    """
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        errors = error.errors(include_url=False)
        telling = [each for each in errors if each["type"] != "bool_type"] or errors  # of a choice, the longer way
        raise InvalidSettings("; ".join(_told(model, each) for each in telling[:5])) from None


def unknown_field(field: str, known: list[str]) -> str:
    """Return the sentence about an option that doesn't exist."""
    near = difflib.get_close_matches(field, known, n=1)
    return f"{field} is none of {', '.join(sorted(known))}" + (f"; did you mean {near[0]}?" if near else "")


def _told(model: type[BaseModel], error: Any) -> str:
    path = [str(part) for part in error["loc"] if str(part).isidentifier()]
    if error["type"] == "extra_forbidden":
        owner = Inverted if path[:1] == ["invert_amounts"] and len(path) > 1 else model
        return unknown_field(path[-1] if path else "a field", [*owner.model_fields])
    if error["type"] == "missing":
        return f"{path[-1]} must be given"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{path[0]}: {message}" if path else message
