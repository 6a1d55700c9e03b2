"""Webhooks: other services hear of what was imported, at least once, in order, verifiably."""
