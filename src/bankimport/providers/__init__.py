"""Bank APIs: `BerlinGroup`, what headers say of a quota, and the way from settings to providers."""

from bankimport.providers.berlin_group import BerlinGroup, BerlinGroupOptions
from bankimport.providers.http import Limits
from bankimport.providers.options import Inverted
from bankimport.providers.quota import quota_of
from bankimport.providers.registry import providers_from_settings

__all__ = ["BerlinGroup", "BerlinGroupOptions", "Inverted", "Limits", "providers_from_settings", "quota_of"]
