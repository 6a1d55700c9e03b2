"""What the access budget of an account is counted by: decided once, when the account is first stored, for ever."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import chain, count

from bankimport.imports.accounts import View, assign
from bankimport.models import BankAccount


def with_keys(
    accounts: Sequence[BankAccount], taken: Collection[str], elsewhere: Iterable[BankAccount], owner: str
) -> list[BankAccount]:
    """Return the accounts, each new one with its `stable_key`: none that is `taken` in its connection (`owner`), and
    that of the same account in another connection to the bank (`elsewhere`), which the bank counts together."""
    others: dict[str, BankAccount] = {}
    for one in elsewhere:
        named = (*one.references, *(others[one.stable_key].references if one.stable_key in others else ()))
        others[one.stable_key] = replace(one, id=one.stable_key, provider_id="", is_listed=True, references=named)
    new = [account for account in accounts if not account.id]
    same = assign(new, [one for key, one in others.items() if key not in taken]).accounts
    keys, used = {account.provider_id: account.id for account in same}, {*taken, *others}
    for view in sorted(map(View, new), key=lambda view: view.order):
        if not keys[view.resource]:
            keys[view.resource] = next(key for key in _candidates(view, owner) if key not in used)
            used.add(keys[view.resource])
    return [account if account.id else replace(account, stable_key=keys[account.provider_id]) for account in accounts]


def _candidates(view: View, owner: str) -> Iterable[str]:
    """Yield the provider's own name of the account, then names made of its first reference, which tell no number."""
    first = view.references[0] if view.references else None
    what = f"{owner}\0{view.resource}" if first is None else f"{first.kind}\0{first.value}"
    made = (hashlib.blake2b(f"{what}\0{number}".encode(), digest_size=20).hexdigest() for number in count())
    return chain(filter(None, (view.account.stable_key,)), made)
