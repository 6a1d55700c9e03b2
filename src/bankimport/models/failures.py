"""What jobs have failed of."""

from bankimport.models.model import Model


class FailureKind(Model):
    """The failed jobs with one error at one bank that are still kept: how many there are, and when they failed."""

    code: str
    #: by its configured name; None where none was being asked
    bank: str | None = None
    jobs: int
    last_hour: int
    hour_before: int
    last_day: int
    day_before: int
    last_week: int
    week_before: int
    #: of each of the last 24 hours, the oldest first
    hours: tuple[int, ...]
