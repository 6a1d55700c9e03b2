"""How an account is used, month by month: what is bought, what comes in, and where the rest goes.

A month begins on a day of the account's own. On its last day what is over is moved away, or what is missing comes in,
so that each month sums to nothing: a balance never drifts, and two months are enough to know it.
"""

from dataclasses import dataclass
from datetime import date, timedelta

#: who is paid, and the least and the most, in cents
Shops = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Habits:
    """The habits of one kind of account. `begins` is the day of the month; `opening` is in whole units."""

    product: str
    currency: str
    kind: str
    shops: Shops
    begins: int
    opening: tuple[int, int]
    #: what such an entry is called; `back` is the one in a sixteen that goes the other way
    text: str
    back: str | None
    #: 1 where the daily entries are money in
    sign: int
    #: with whom the rest is exchanged, and what it says; None: the person's own savings
    rest: tuple[str, str] | None

    def month_of(self, day: date) -> date:
        """Return the first day of the month that `day` is in."""
        if day.day >= self.begins:
            return day.replace(day=self.begins)
        return (day.replace(day=1) - timedelta(days=1)).replace(day=self.begins)

    def ends_on(self, day: date) -> bool:
        """Whether `day` is the last of a month."""
        return (day + timedelta(days=1)).day == self.begins


CURRENT = Habits(
    product="Girokonto",
    currency="EUR",
    kind="CACC",
    shops=(
        ("Kaffeerösterei Nord", 280, 690),
        ("Bäckerei Sonnenschein", 190, 1250),
        ("Supermarkt am Markt", 890, 5800),
        ("Stadtwerke Verkehr", 320, 1200),
        ("Buchhandlung Seite Eins", 990, 2900),
        ("Tankstelle Ost", 2900, 6400),
        ("Apotheke am Ring", 450, 2200),
        ("Onlinehandel Paketgut", 1290, 7900),
    ),
    begins=28,
    opening=(1200, 3800),
    text="Einkauf",
    back="Erstattung",
    sign=-1,
    rest=None,
)
SAVINGS = Habits(
    product="Tagesgeld",
    currency="EUR",
    kind="SVGS",
    shops=(("Kartenservice Kleingeld", 1, 99),),
    begins=27,
    opening=(4000, 24000),
    text="Aufgerundet",
    back=None,
    sign=1,
    rest=("Depotbank am Hafen", "Sparplan"),
)
DOLLARS = Habits(
    product="Dollarkonto",
    currency="USD",
    kind="CACC",
    shops=(
        ("Notebook Cloud Inc.", 499, 1299),
        ("Harbor Music LLC", 199, 1099),
        ("Westside Books", 690, 3400),
        ("Pixel Fonts Co.", 900, 2900),
    ),
    begins=1,
    opening=(1800, 6000),
    text="Purchase",
    back="Refund",
    sign=-1,
    rest=("Devisenhaus Brücke", "Aufladung"),
)
