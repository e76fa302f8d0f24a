"""A simulator of the Stripe API endpoints that payments and refunds need, speaking HTTP to the real SDK.

It follows https://docs.stripe.com/api/idempotent_requests to the letter, and breaks on demand. In a test::

    async with StripeSimulator(faults=Faults(seed=7, lost_reply=0.03)) as sim:
        sim.next("error_after")
        async with stripe_client("sk_test_x", base_url=sim.url) as stripe:
            ...
        assert not sim.ledger().duplicates()

As a process: ``python -m recordfirst.testing.stripe --port 0`` prints its URL as one line of JSON. Inside of the
process that asks, without a socket: :func:`stripe_double`.

Everything lives in memory and is gone with the process: about 3 KB per payment. What it does not know (an endpoint, a
parameter) it refuses with an error that says so. It is laxer than Stripe in two things: customers need not exist, and
parameters that change nothing about a test card's answer are taken as they come. One core serves about 5,000 payments a
second of the SDK's.
"""

from recordfirst.testing.stripe.faults import FaultKind, Faults
from recordfirst.testing.stripe.inside import stripe_double
from recordfirst.testing.stripe.ledger import ReplyStore, StoredReply
from recordfirst.testing.stripe.server import StripeSimulator

__all__ = ["FaultKind", "Faults", "ReplyStore", "StoredReply", "StripeSimulator", "stripe_double"]
