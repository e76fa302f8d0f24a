"""Work that is shared: who asks for it while it is under way gets the next one, together with all others who do.

So an answer is never older than the question, and a hundred questions at once are two pieces of work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable


class Sharing[R]:
    """Of each key, one piece of work at a time, and one behind it for all who have asked meanwhile."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Future[R]] = {}
        self._next: dict[Hashable, asyncio.Future[R]] = {}

    async def once(self, key: Hashable, work: Callable[[bool], Awaitable[R]]) -> R:
        """Return what ``work`` that begins from now on returns, or raise what it raises: ours, or another's.

        ``work`` is told whether it has waited for another to end, so that what is known from before may be old. It is
        run by one of those who ask; if that one is cancelled, so are those who share it.
        """
        shared = self._next.get(key)
        if shared is not None:
            return await asyncio.shield(shared)
        ours = self._next[key] = asyncio.get_running_loop().create_future()
        try:
            before = self._under_way.get(key)
            if before is not None:
                await asyncio.wait([before])
            del self._next[key]
            self._under_way[key] = ours
            result = await work(before is not None)
        except asyncio.CancelledError:
            ours.cancel()
            raise
        except Exception as error:
            ours.set_exception(error)
            ours.exception()  # it is raised here, too, so nobody need retrieve it
            raise
        else:
            ours.set_result(result)
            return result
        finally:
            for where in (self._next, self._under_way):
                if where.get(key) is ours:
                    del where[key]
