"""Runs a read: a read-only transaction, as often as it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from resonate.context import Context

from recordfirst.execution.execution import Execution
from recordfirst.execution.runtime import Runtime
from recordfirst.process.blocking import Blocking
from recordfirst.steps.arguments import Arguments
from recordfirst.steps.function import Function
from recordfirst.steps.read import Read, ReadStep


async def ask(
    runtime: Runtime, function: Function, connection: Any, arguments: Mapping[str, Any], injected: Mapping[str, Any]
) -> Any:
    """Call a function of the user's that reads the record, on a connection that is open."""
    first = Read(connection if function.is_async else Blocking(connection, runtime.loop))
    return await function.call(first, arguments, injected, runtime.executor)


async def run[R](step: ReadStep[..., R], execution: Execution, ctx: Context, arguments: Arguments) -> R:
    """Run it in a workflow."""
    del ctx
    runtime, function = execution.runtime, step.function
    injected = await runtime.injector.resolve(function)

    async def once() -> Any:
        async with runtime.record.reading() as connection:
            return await ask(runtime, function, connection, function.fresh(arguments), injected)

    value = await runtime.patiently(repr(step), once)
    return cast("R", function.result(value)[1])
