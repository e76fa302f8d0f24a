"""The simulator as a process: ``python -m recordfirst.testing.stripe --port 0 --seed 7 --lost-reply 0.03``.

When it is ready, it prints ``{"url": "http://127.0.0.1:…"}`` as one line. SIGTERM or SIGINT ends it with status 0.
With ``--events-to http://127.0.0.1:8000/stripe/events`` it sends signed events there.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import click
import msgspec

from recordfirst.testing.stripe.faults import Faults
from recordfirst.testing.stripe.log import Delays
from recordfirst.testing.stripe.sending import Sending
from recordfirst.testing.stripe.server import SIGNED_WITH, StripeSimulator

_PORT = click.IntRange(0, 65535)
_RATE = click.FloatRange(0, 1)
_SECONDS = click.FloatRange(0)


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=_PORT, default=0, help="Port to listen on; 0 takes a free one.")
@click.option("--search-lag-s", type=_SECONDS, default=60.0, help="How late search finds a new object.")
@click.option("--seed", type=int, default=0, help="Decides which requests the faults hit.")
@click.option("--reset-before", type=_RATE, default=0.0, help="Rate: connection cut, nothing applied.")
@click.option("--rate-limited", type=_RATE, default=0.0, help="Rate: 429, nothing applied.")
@click.option("--error-before", type=_RATE, default=0.0, help="Rate: 500, nothing applied.")
@click.option("--error-after", type=_RATE, default=0.0, help="Rate: applied, 500 on each retry.")
@click.option("--lost-reply", type=_RATE, default=0.0, help="Rate: applied, connection cut.")
@click.option("--timeout-after-applying", type=_RATE, default=0.0, help="Rate: applied, no answer.")
@click.option("--decline", type=_RATE, default=0.0, help="Rate: 402.")
@click.option("--slow", type=_RATE, default=0.0, help="Rate: answered late.")
@click.option("--slow-s", type=_SECONDS, default=0.5, help="How late.")
@click.option("--hang-s", type=_SECONDS, default=120.0, help="How long it does not answer.")
@click.option("--retry-after-s", type=click.IntRange(0), default=1, help="Retry-After of a 429.")
@click.option("--events-to", metavar="URL", help="Send signed events there.")
@click.option("--events-secret", default=SIGNED_WITH, help="Signing secret of the events.")
@click.option("--events-lost", type=_RATE, default=0.0, help="Rate: listed, but never sent.")
@click.option("--events-twice", type=_RATE, default=0.0, help="Rate: sent again.")
@click.option("--events-held", type=_RATE, default=0.0, help="Rate: held back, so that later events arrive first.")
@click.option("--events-held-s", type=_SECONDS, default=0.2, help="How long.")
@click.option("--events-delay-s", type=_SECONDS, default=0.0, help="Most that each sending is delayed.")
@click.option("--events-thin", is_flag=True, help="Send thin events, which hold no object.")
@click.option("--bank-s", type=_SECONDS, default=Delays().bank_s, help="Time to a bank's answer to a debit.")
@click.option("--hold-s", type=_SECONDS, default=Delays().hold_s, help="Time to the end of an authorisation.")
@click.option("--refund-s", type=_SECONDS, default=Delays().refund_s, help="Time to the end of a slow refund.")
@click.option("--dispute-s", type=_SECONDS, default=Delays().dispute_s, help="Time to a test card's dispute.")
@click.option("--verdict-s", type=_SECONDS, default=Delays().verdict_s, help="Time from evidence to the verdict.")
@click.option("--payout-s", type=_SECONDS, default=Delays().payout_s, help="Time to the arrival of a payout.")
@click.option("--livemode", is_flag=True, help="Objects and events have livemode true.")
def main(host: str, port: int, search_lag_s: float, **given: Any) -> None:
    """Run the Stripe simulator until SIGTERM or Ctrl-C."""
    seed = given["seed"]
    sending = {name.removeprefix("events_"): given.pop(name) for name in [*given] if name in _SENDING}
    delays = {name: given.pop(name) for name in Delays.__struct_fields__}
    events_to, secret, livemode = (given.pop(name) for name in ("events_to", "events_secret", "livemode"))
    try:
        simulator = StripeSimulator(
            faults=msgspec.convert(given, Faults),
            search_lag_s=search_lag_s,
            host=host,
            port=port,
            events_to=events_to,
            events_secret=secret,
            sending=msgspec.convert({"seed": seed, **sending}, Sending),
            delays=msgspec.convert(delays, Delays),
            livemode=livemode,
        )
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from None
    try:
        asyncio.run(_serve(simulator))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror or error}") from None


_SENDING = {f"events_{name}" for name in Sending.__struct_fields__}


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
