"""The simulator as a process: ``python -m recordfirst.testing.stripe --port 0 --seed 7 --lost-reply 0.03``.

Prints ``{"url": "http://127.0.0.1:…"}`` as one line once it answers; SIGTERM or SIGINT ends it with status 0.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import click
import msgspec

from recordfirst.testing.stripe.faults import Faults
from recordfirst.testing.stripe.server import StripeSimulator

_PORT = click.IntRange(0, 65535)
_RATE = click.FloatRange(0, 1)
_SECONDS = click.FloatRange(0)


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=_PORT, default=0, help="Port to listen on; 0 takes a free one.")
@click.option("--search-lag-s", type=_SECONDS, default=60.0, help="How long search does not see what was created.")
@click.option("--seed", type=int, default=0, help="Which requests the faults hit.")
@click.option("--reset-before", type=_RATE, default=0.0, help="Rate: cut, nothing applied.")
@click.option("--rate-limited", type=_RATE, default=0.0, help="Rate: 429, nothing applied.")
@click.option("--error-before", type=_RATE, default=0.0, help="Rate: 500, nothing applied.")
@click.option("--error-after", type=_RATE, default=0.0, help="Rate: applied, 500 for ever.")
@click.option("--lost-reply", type=_RATE, default=0.0, help="Rate: applied, cut.")
@click.option("--timeout-after-applying", type=_RATE, default=0.0, help="Rate: applied, no answer.")
@click.option("--decline", type=_RATE, default=0.0, help="Rate: 402.")
@click.option("--slow", type=_RATE, default=0.0, help="Rate: answered late.")
@click.option("--slow-s", type=_SECONDS, default=0.5, help="How late.")
@click.option("--hang-s", type=_SECONDS, default=120.0, help="How long no answer lasts.")
@click.option("--retry-after-s", type=click.IntRange(0), default=1, help="What a 429 asks for.")
def main(host: str, port: int, search_lag_s: float, **faults: float) -> None:
    """Run the Stripe simulator until it is told to end."""
    try:
        chosen = msgspec.convert(faults, Faults)
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from None
    asyncio.run(_serve(StripeSimulator(faults=chosen, search_lag_s=search_lag_s, host=host, port=port)))


async def _serve(simulator: StripeSimulator) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with simulator:
        sys.stdout.write(msgspec.json.encode({"url": simulator.url}).decode() + "\n")
        sys.stdout.flush()
        await ended.wait()


if __name__ == "__main__":
    main()
