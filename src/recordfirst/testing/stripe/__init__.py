"""A simulator of the Stripe API endpoints that payments need, refunds, disputes and payouts too, for the real SDK.

It follows https://docs.stripe.com/api/idempotent_requests to the letter, and breaks on demand. In a test::

    async with StripeSimulator(faults=Faults(seed=7, lost_reply=0.03)) as sim:
        sim.next("error_after")
        async with stripe_client("sk_test_x", base_url=sim.url) as stripe:
            ...
        assert not sim.ledger().duplicates()

What is accepted is not always paid: test payment methods of https://docs.stripe.com/testing wait for their customer
(``pm_card_threeDSecure2Required``) or a bank (``pm_usBankAccount_success``, ``..._insufficientFunds``), are disputed
(``pm_card_createDispute``), or get refunds that take time or fail (``pm_card_pendingRefund``, ``pm_card_refundFail``).
What comes later comes by the simulator's clock (:class:`Delays`), or when a test says so::

        sim.do("complete", intent.id)           # the customer confirms, or the bank pays
        sim.do("refund", intent.id, amount=500) # somebody does, at the dashboard

Events can be listed, and with ``events_to=`` are sent to a URL, signed: by seed some twice, late, in another order, or
never (:class:`Sending`).

As a process: ``python -m recordfirst.testing.stripe --port 0`` prints its URL as one line of JSON. Inside of the
process that asks, without a socket: :func:`stripe_double`.

Everything lives in memory and is gone with the process: about 7 KB per payment with its events. What it does not know
(an endpoint, a parameter) it refuses with an error that says so. It is laxer than Stripe in two things: customers need
not exist, and parameters that change nothing about a test card's answer are taken as they come. One core serves about
4,000 payments a second of the SDK's.
"""

from recordfirst.testing.stripe.faults import FaultKind, Faults
from recordfirst.testing.stripe.happenings import Happening
from recordfirst.testing.stripe.inside import stripe_double
from recordfirst.testing.stripe.ledger import ReplyStore, StoredReply
from recordfirst.testing.stripe.log import Delays
from recordfirst.testing.stripe.sending import Sending
from recordfirst.testing.stripe.server import StripeSimulator

__all__ = [
    "Delays",
    "FaultKind",
    "Faults",
    "Happening",
    "ReplyStore",
    "Sending",
    "StoredReply",
    "StripeSimulator",
    "stripe_double",
]
