"""Conflicts (P8): each names both sides."""

from __future__ import annotations

from recordfirst.errors.base import RecordfirstError


class Conflict(RecordfirstError):
    """Two things claim one identity. Nothing was changed."""


class DifferentArguments(Conflict):
    """A workflow id was started before, with other arguments or as another workflow."""

    def __init__(self, id: str, stored: str, given: str) -> None:
        self.id, self.stored, self.given = id, stored, given
        super().__init__(id, stored, given)

    def __str__(self) -> str:
        return (
            f"workflow {self.id!r} was already started as {self.stored}, not as {self.given}; "
            "use another id, or start it with the arguments that it has"
        )


class DifferentRequest(Conflict):
    """A key was used before with another request."""

    def __init__(self, key: str, stored: str, given: str) -> None:
        self.key, self.stored, self.given = key, stored, given
        super().__init__(key, stored, given)

    def __str__(self) -> str:
        return (
            f"key {self.key!r} already stands for {self.stored}, not for {self.given}; "
            "one key means one request: put into the key what tells the two apart"
        )


class DifferentFunction(Conflict):
    """A key's receipt belongs to another function (renamed, or two steps share a key)."""

    def __init__(self, key: str, stored: str, called: str) -> None:
        self.key, self.stored, self.called = key, stored, called
        super().__init__(key, stored, called)

    def __str__(self) -> str:
        return (
            f"key {self.key!r} has a receipt of {self.stored!r}, but {self.called!r} asked for it; "
            "give each step its own key, or keep the old name with name="
        )


class DifferentKey(Conflict):
    """A workflow has called a step under a key that the step does not make of that request by now."""

    def __init__(self, step: str, workflow: str, stored: str, given: str) -> None:
        self.step, self.workflow, self.stored, self.given = step, workflow, stored, given
        super().__init__(step, workflow, stored, given)

    def __str__(self) -> str:
        return (
            f"workflow {self.workflow!r} has a receipt of {self.step} under {self.stored!r}, and the key of that "
            f"request is {self.given} by now: it would happen again, so nothing was called. Give it back its old key "
            "until these workflows have ended; new ones may use a step of another name, with the new key"
        )


class SharedKey(Conflict):
    """Two effects declare one key template, or one step is called twice under its default key."""

    def __init__(self, key: str, first: str, second: str) -> None:
        self.key, self.first, self.second = key, first, second
        super().__init__(key, first, second)

    def __str__(self) -> str:
        return f"key {self.key!r} is claimed by {self.first} and by {self.second}; give each its own key"


class DifferentEntry(Conflict):
    """A reference has something else under the id of what was to be staged."""

    def __init__(self, id: str, where: str, stored: str, given: str) -> None:
        self.id, self.where, self.stored, self.given = id, where, stored, given
        super().__init__(id, where, stored, given)

    def __str__(self) -> str:
        return (
            f"entry {self.id!r} of {self.where} exists already with {self.stored}, not with {self.given}; "
            "find out who has put it there, or stage under another id"
        )


class DifferentRow(Conflict):
    """A row that was to be written exists, with other values."""

    def __init__(self, what: str, stored: str, given: str) -> None:
        self.what, self.stored, self.given = what, stored, given
        super().__init__(what, stored, given)

    def __str__(self) -> str:
        return f"{self.what} exists already with {self.stored}, not with {self.given}"


class DifferentTransfer(Conflict):
    """A ledger holds an account or transfer of this id, with other fields: it is not ours."""

    def __init__(self, what: str, status: str, difference: str) -> None:
        self.what, self.status, self.difference = what, status, difference
        super().__init__(what, status, difference)

    def __str__(self) -> str:
        return (
            f"{self.what} is in the ledger with other fields ({self.status}): {self.difference}; nothing was moved; "
            "find out who made it, and give what you make another key or id"
        )


class DuplicateDependency(Conflict):
    """Two values were provided for one type."""

    def __init__(self, type_name: str, first: str, second: str) -> None:
        self.type_name, self.first, self.second = type_name, first, second
        super().__init__(type_name, first, second)

    def __str__(self) -> str:
        return (
            f"two values for {self.type_name}: {self.first} and {self.second}; "
            "give one of them its own key with app.provide(value, as_=SomeNewType)"
        )
