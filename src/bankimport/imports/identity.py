"""What an entry is looked up by: the names that a bank has given it."""

from bankimport.models import BankId, IdQuality, Transaction

#: namespace and value: what an alias is looked up by, within one account
AliasKey = tuple[str, str]


def key_of(bank_id: BankId) -> AliasKey:
    """Return what an id is looked up by; its quality is no part of it."""
    return bank_id.namespace, bank_id.value


def strong_keys(transaction: Transaction) -> list[AliasKey]:
    """Return the keys of the ids that name this one entry."""
    return [(i.namespace, i.value) for i in transaction.ids if i.quality is IdQuality.STRONG]
