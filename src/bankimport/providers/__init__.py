"""Bank APIs, what headers say of a quota, where tokens are shared, and the way from settings to providers."""

from bankimport.providers.berlin_group import BerlinGroup
from bankimport.providers.berlin_group_options import BerlinGroupOptions
from bankimport.providers.enable_banking import EnableBanking, EnableBankingOptions
from bankimport.providers.gocardless import GoCardless, GoCardlessOptions
from bankimport.providers.http import BoundedClient, Limits, Reply
from bankimport.providers.options import Inverted
from bankimport.providers.quota import quota_of, retry_after
from bankimport.providers.registry import providers_from_settings

__all__ = [
    "BerlinGroup",
    "BerlinGroupOptions",
    "BoundedClient",
    "EnableBanking",
    "EnableBankingOptions",
    "GoCardless",
    "GoCardlessOptions",
    "Inverted",
    "Limits",
    "Reply",
    "providers_from_settings",
    "quota_of",
    "retry_after",
]
