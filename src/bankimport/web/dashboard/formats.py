"""Instants, days, durations and numbers as a person reads them. Pure: the present instant is a value."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from markupsafe import Markup

_MONTHS = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "de": ("Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."),
}
_NEAR = {
    "en": {-1: "yesterday", 0: "today", 1: "tomorrow"},
    "de": {-1: "gestern", 0: "heute", 1: "morgen"},
}
_HOUR, _DAY = 3600, 86_400
_SPACE = "\N{NO-BREAK SPACE}"


class Formats:
    """How things are written in one language, in one time zone, at one instant."""

    def __init__(self, language: str, zone: ZoneInfo, now: datetime) -> None:
        self._language = language
        self._zone = zone
        self.now = now
        self.today = now.astimezone(zone).date()

    def number(self, value: float) -> str:
        """Return a whole number with its thousands apart: 1,046 or 1.046."""
        text = f"{value:,.0f}"
        return text.replace(",", ".") if self._language == "de" else text

    def money(self, amount: Decimal, currency: str) -> str:
        """Return an amount with its own decimals: −1,234.50 EUR or −1.234,50 EUR."""
        text = f"{amount:,f}".replace("-", "\N{MINUS SIGN}")
        if self._language == "de":
            text = text.translate(str.maketrans(",.", ".,"))
        return f"{text}{_SPACE}{currency}" if currency else text

    def percent(self, part: float, whole: float) -> str:
        """Return a share: 27 %, 0.1 %; what is there is never 0."""
        share = 100 * part / whole if whole else 0.0
        text = "0" if not part else f"{share:.0f}" if share >= 9.5 else self._decimal(max(0.1, share))
        return f"{text}{_SPACE}%"

    def day(self, value: date) -> Markup:
        """Return a day: 19 Nov, or 19 Nov 2025 in another year."""
        return Markup('<time class="t" datetime="{}">{}</time>').format(value.isoformat(), self._day(value))

    def at(self, value: datetime) -> Markup:
        """Return an instant: 14:13:24, yesterday 17:20, 19 Nov, 20:12, or the day alone in another year."""
        local = value.astimezone(self._zone)
        near = _NEAR[self._language].get((local.date() - self.today).days)
        if local.date() == self.today:
            text = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
        elif near is not None:
            text = f"{near} {local:%H:%M}"
        else:
            text = self._day(local.date()) + (f", {local:%H:%M}" if local.year == self.today.year else "")
        return self._time(local, text)

    def moment(self, value: datetime) -> Markup:
        """Return an instant of a job's course: with tenths of a second, and the day if it isn't today."""
        local = value.astimezone(self._zone)
        text = f"{local:%H:%M:%S}.{local.microsecond // 100_000}"
        return self._time(local, text if local.date() == self.today else f"{self._day(local.date())}, {text}")

    def month(self, value: date) -> str:
        """Return a month's name, short."""
        return _MONTHS[self._language][value.month - 1]

    def span(self, value: timedelta) -> str:
        """Return a duration: 40 ms, 5.3 s, 2 min 5 s, 2 h 45 min, 3 d 4 h."""
        seconds = max(0.0, value.total_seconds())
        if seconds < 0.1:
            return f"{seconds * 1000:.0f}{_SPACE}ms"
        if seconds < 10:
            return self._decimal(seconds) + f"{_SPACE}s"
        if seconds < 60:
            return f"{seconds:.0f}{_SPACE}s"
        whole = int(seconds)
        for size, unit, smaller, small in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", 60, "min"), (60, "min", 1, "s")):
            if whole >= size:
                rest = whole % size // smaller
                return f"{whole // size}{_SPACE}{unit}" + (f" {rest}{_SPACE}{small}" if rest else "")
        raise AssertionError

    def since(self, value: datetime) -> str:
        """Return how long ago an instant is."""
        return self.span(self.now - value)

    def days_left(self, last_day: date) -> int:
        """Return how many days there are to a last day, which counts."""
        return (last_day - self.today).days

    def _decimal(self, seconds: float) -> str:
        text = f"{seconds:.1f}".removesuffix(".0")
        return text.replace(".", ",") if self._language == "de" else text

    def _day(self, value: date) -> str:
        month = _MONTHS[self._language][value.month - 1]
        text = f"{value.day}. {month}" if self._language == "de" else f"{value.day} {month}"
        return text if value.year == self.today.year else f"{text} {value.year}"

    @staticmethod
    def _time(local: datetime, text: str) -> Markup:
        instant = local.isoformat(timespec="milliseconds")
        return Markup('<time class="t" datetime="{}">{}</time>').format(instant, text)
