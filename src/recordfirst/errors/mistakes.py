"""What the program asks for cannot be."""

from __future__ import annotations

from recordfirst.errors.base import RecordfirstError


class Misuse(RecordfirstError):
    """The program asks for something that cannot be; nothing was done."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)

    def __str__(self) -> str:
        return self.message


class BadArguments(Misuse):
    """Arguments do not fit the function's signature or types."""


class BadKey(Misuse):
    """A key template names what the arguments do not have, or renders to nothing, or to more than 1,000 bytes."""


class BadId(Misuse):
    """A workflow id that no store can carry (empty, with a NUL character, or longer than 255 bytes of UTF-8)."""


class UnknownWorkflow(Misuse):
    """The name is not among the app's workflows."""


class MissingDependency(Misuse):
    """A step needs a type that nothing provides."""


class Unencodable(Misuse):
    """A value cannot be stored as JSON; names the type and the field."""


class AfterMissing(Misuse):
    """P1: an effect was asked for before the write that it depends on has its receipt."""


class AttemptRefused(Misuse):
    """A new attempt was asked for while the one before is not declined."""


class NoRow(Misuse):
    """A statement that had to change or return one row did not."""


class Undone(Misuse):
    """The effect succeeded and was then undone; its result no longer stands."""
