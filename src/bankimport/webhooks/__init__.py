"""Webhooks on their way: signed, sent, tried again. What is to be sent stands in the store, written with the rows.

Standard Webhooks (standardwebhooks.com): a receiver verifies with any of its libraries. Nothing here knows a queue.
"""

from bankimport.webhooks.addresses import checked_url
from bankimport.webhooks.deliverer import Deliverer
from bankimport.webhooks.signing import key_of, new_secret, sign
from bankimport.webhooks.store import WebhookStore

__all__ = ["Deliverer", "WebhookStore", "checked_url", "key_of", "new_secret", "sign"]
