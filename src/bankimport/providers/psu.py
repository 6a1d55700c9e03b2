"""The person's own headers: sent if and only if the person asks just now, and never invented."""

from bankimport.models import PsuContext


def headers_of(psu: PsuContext | None, *, all_or_none: bool = False) -> dict[str, str]:
    """Return `PSU-IP-Address` and `PSU-User-Agent`; with `all_or_none`, nothing where one of them isn't known."""
    if psu is None:
        return {}
    agent = "".join(c for c in psu.user_agent or "" if " " <= c <= "~")[:256]
    if agent:
        return {"PSU-IP-Address": psu.ip, "PSU-User-Agent": agent}
    return {} if all_or_none else {"PSU-IP-Address": psu.ip}
