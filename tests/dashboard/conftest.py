"""The pages over a real queue and a store in memory, as tests/web/test_dashboard.py has them."""

from tests.web.test_dashboard import bank, bank_import, pages, store

__all__ = ["bank", "bank_import", "pages", "store"]
