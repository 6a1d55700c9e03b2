"""What a public signature names, a host can import by a public name."""

import importlib
import inspect
import typing
from collections.abc import Iterator

from bankimport import Action, Authorize, Person, User
from tests.test_architecture import PUBLIC

#: what only we make, and hand out as something public
OURS = {
    "Follower": "of a Subscription",
    "IfFailed": "a fake run's part",
    "WorkerSettingsBase": "it is WorkerSettings to a checker",
    "Bounds": "of a BankImport's parts",
    "ConnectionJobs": "of a BankImport's parts",
    "Working": "the port that a BankImport is",
    "AuthorizationServer": "made of a provider's options",
    "Bearer": "made of a provider's options",
}
#: imported for checkers alone, where they are used
LATE = {
    "Action": Action,
    "Authorize": Authorize,
    "Person": Person,
    "User": User,
    "web": importlib.import_module("aiohttp.web"),
}


def public() -> dict[str, object]:
    """Return every public name with what it is; `WorkerSettings` reads the environment."""
    modules = [importlib.import_module(name) for name in PUBLIC]
    return {name: getattr(m, name) for m in modules for name in m.__all__ if name != "WorkerSettings"}


def signatures(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield what carries annotations: a function, or a class with its fields and public methods."""
    if inspect.isfunction(value):
        yield name, value
    if not inspect.isclass(value):
        return
    yield name, value
    for kind in value.__mro__:
        for member, found in vars(kind).items() if kind.__module__.startswith("bankimport") else ():
            function = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
            if inspect.isfunction(function) and (not member.startswith("_") or member == "__init__"):
                yield f"{name}.{member}", function


def classes(hint: object) -> Iterator[type]:
    """Yield the classes in an annotation."""
    if inspect.isclass(hint):
        yield hint
    for part in typing.get_args(hint):
        for each in part if isinstance(part, list) else [part]:
            yield from classes(each)


def test_what_signatures_name_is_public() -> None:
    """A host that implements a port or calls a method can name each type in it. Red before for ten, such as the
    filters of jobs and connections, and the port by which operators look for them."""
    names = public()
    known = {id(value) for value in names.values()}
    missing: dict[str, str] = {}
    for name, value in names.items():
        for where, carrier in signatures(name, value):
            hints = typing.get_type_hints(carrier, localns=LATE)  # type: ignore[arg-type]  # whatever has a signature
            for field, hint in hints.items():
                for kind in classes(hint) if not field.startswith("_") else ():
                    ours = kind.__module__.startswith("bankimport") and kind.__name__ not in OURS
                    if ours and id(kind) not in known:
                        missing[kind.__qualname__] = f"{where}: {field}"
    assert missing == {}
