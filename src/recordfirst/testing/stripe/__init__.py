"""A simulator of Stripe's endpoints for payments, refunds, disputes, payouts and events. Stripe's own SDK calls it.

It follows https://docs.stripe.com/api/idempotent_requests to the letter, and fails on request. In a test::

    async with StripeSimulator(faults=Faults(seed=7, lost_reply=0.03)) as sim:
        sim.next("error_after")
        async with stripe_client("sk_test_x", base_url=sim.url) as stripe:
            ...
        assert not sim.ledger().duplicates()

A payment that is accepted is not always paid. The test payment methods of https://docs.stripe.com/testing wait for a
customer (``pm_card_threeDSecure2Required``) or a bank (``pm_usBankAccount_success``, ``..._insufficientFunds``), are
disputed (``pm_card_createDispute``), or have refunds that take time or fail (``pm_card_pendingRefund``,
``pm_card_refundFail``). Later changes happen by the simulator's clock (:class:`Delays`), or when a test says so::

        sim.do("complete", intent.id)           # the customer confirms, or the bank pays
        sim.do("refund", intent.id, amount=500) # somebody refunds it at the dashboard

Events can be listed. With ``events_to=`` they are also sent to a URL, signed. A seed decides which of them are sent
twice, late, in another order, or never (:class:`Sending`).

As a process: ``python -m recordfirst.testing.stripe --port 0`` prints its URL as one line of JSON. In the process of
the caller, without a socket: :func:`stripe_double`.

All state is in memory and lost with the process: about 7 KB per payment with its events. An unknown endpoint or
parameter is refused with an error that says so. The simulator is laxer than Stripe in two things: customers need not
exist, and it does not check parameters that do not change a test card's answer. One core serves about 4,000 payments
a second to the SDK.
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
