"""How many jobs ended, over time."""

from datetime import datetime

from bankimport.models.model import Model


class EndedJobs(Model):
    """The jobs that ended from an instant on, for a minute or an hour, and whose records are still kept."""

    since: datetime
    completed: int
    failed: int


class Throughput(Model):
    """The last hour by the minute, the last week by the hour, the oldest first."""

    minutes: tuple[EndedJobs, ...]
    hours: tuple[EndedJobs, ...]
