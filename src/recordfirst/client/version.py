"""Which version of an app's code this is: a hash of it, unless ``App(version=...)`` says.

The first worker of another version tries a workflow again that a defect has stopped. The hash covers the code of the
workflows, their steps, and the functions of their own package that these name. It does not cover values of module
variables, other packages (except recordfirst's own version), and data. After a fix there, an operator retries.
"""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from recordfirst.errors import Misuse
from recordfirst.records.contract import Record
from recordfirst.steps.declared import OwnErrors, check_no_plumbing
from recordfirst.steps.registrations import Registrations

_LONGEST = 64


def check_version(given: Any) -> str:
    """Return the version that ``App(version=...)`` says.

    Raises:
        Misuse: if it is not a word of 64 characters at most.
    """
    if not isinstance(given, str) or not given or len(given) > _LONGEST or any(c.isspace() for c in given):
        raise Misuse(f"version= takes a word of {_LONGEST} characters at most, such as a commit's hash, not {given!r}")
    return given


def errors_of_app(registered: Registrations, record: Record[Any]) -> OwnErrors:
    """The classes of the app's own that an error may be rebuilt as.

    Raises:
        Misuse: if one is declared that the record takes for plumbing.
    """
    declared = [workflow.declared for workflow in registered.workflows.values()]
    fails = [each for one in declared for each in one.fails]
    check_no_plumbing(fails, record.fault)
    return OwnErrors(fails, {package for one in declared for package in one.packages})


def version_of_app(registered: Registrations) -> str:
    """A hash of the code of the app's workflows; see the module."""
    functions: dict[Any, None] = {}
    options: list[str] = []
    for workflow in registered.workflows.values():
        functions |= dict.fromkeys(workflow.functions())
        options.append(f"{workflow.name} {[each.__qualname__ for each in workflow.declared.fails]}")
        options += [step.told for step in workflow.steps()]
    return version_of(functions, options)


def version_of(functions: Iterable[Callable[..., Any]], options: Iterable[str]) -> str:
    """Hash these functions and what their decorators were told."""
    found = hashlib.sha256(_own_version().encode())
    for fn in sorted(functions, key=lambda fn: (fn.__module__, fn.__qualname__)):
        found.update(
            f"\0{fn.__module__}.{fn.__qualname__}\0{_plain(fn.__defaults__)}{_plain(fn.__kwdefaults__)}".encode()
        )
        _add(found, fn.__code__)
    for option in sorted(options):
        found.update(f"\0{option}".encode())
    return found.hexdigest()[:12]


@cache
def _own_version() -> str:
    try:
        return version("recordfirst")
    except PackageNotFoundError:
        return ""


def _add(found: Any, code: types.CodeType) -> None:
    found.update(code.co_code)
    found.update(repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _add(found, constant)
        else:
            found.update(_plain(constant).encode())


def _plain(value: Any) -> str:
    """A text that is the same in every process: sets have no order, and an object's repr may show its address."""
    match value:
        case None | bool() | int() | float() | complex() | str() | bytes():
            return repr(value)
        case tuple() | list():
            return f"({','.join(_plain(each) for each in value)})"
        case frozenset() | set():
            return f"{{{','.join(sorted(_plain(each) for each in value))}}}"
        case dict():
            return f"{{{','.join(f'{name}:{_plain(each)}' for name, each in value.items())}}}"
        case _:
            return type(value).__qualname__
