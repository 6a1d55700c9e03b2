"""The one base of everything that crosses a boundary."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """camelCase outside, snake_case inside, immutable; tolerant of fields that another version of us wrote."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", serialize_by_alias=True
    )


class StrictModel(Model):
    """For what a person writes: an unknown field is a mistake, and is said to be one."""

    model_config = ConfigDict(extra="forbid")
