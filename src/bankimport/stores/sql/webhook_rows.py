"""Rows of webhooks as the models have them."""

from datetime import datetime
from typing import Any

from bankimport.errors import InvalidSettings
from bankimport.models import Delivery, DeliveryState, DisabledBy, WebhookEndpoint, WebhookSecrets, WebhookType
from bankimport.stores.sql.credentials import Vault


def opened(vault: Vault, stored: str) -> WebhookSecrets | None:
    """Return secrets that are stored; None where their key is not ours."""
    try:
        return WebhookSecrets.of(vault.open(stored) or {})
    except (InvalidSettings, KeyError):
        return None


def endpoint_of(row: Any, vault: Vault) -> WebhookEndpoint:
    """Return the endpoint of a row, with what waits for it."""
    return WebhookEndpoint(
        id=row.id,
        url=row.url,
        org_id=row.org_id,
        types=tuple(WebhookType(each) for each in row.types.split(",") if each),
        created_at=row.created_at,
        disabled_by=None if row.disabled_by is None else DisabledBy(row.disabled_by),
        disabled_at=row.disabled_at,
        failing_since=row.failing_since,
        taken_at=row.taken_at,
        waiting=row.waiting,
        secret_readable=opened(vault, row.secrets) is not None,
    )


def delivery_of(row: Any, next_at: datetime | None) -> Delivery:
    """Return the delivery of a row."""
    return Delivery(
        id=row.id,
        endpoint_id=row.endpoint_id,
        org_id=row.org_id,
        connection_id=row.connection_id,
        type=WebhookType(row.type),
        created_at=row.created_at,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        next_at=next_at,
        attempted_at=row.attempted_at,
        status=row.status,
        error=row.error,
        body=row.body,
    )
