"""Tools with which users test their own workflows: simulators of providers, and clocks that a test can move.

Nothing here imports a provider's own package: ``recordfirst.testing`` works without any extra.
"""

from recordfirst.testing.clock import SimClock
from recordfirst.testing.outside import Asked, KeyReused, Outside, Refused
from recordfirst.testing.stripe.faults import FaultKind, Faults
from recordfirst.testing.stripe.happenings import Happening
from recordfirst.testing.stripe.inside import stripe_double
from recordfirst.testing.stripe.ledger import ReplyStore, StoredReply
from recordfirst.testing.stripe.log import Delays
from recordfirst.testing.stripe.sending import Sending
from recordfirst.testing.stripe.server import StripeSimulator

__all__ = [
    "Asked",
    "Delays",
    "FaultKind",
    "Faults",
    "Happening",
    "KeyReused",
    "Outside",
    "Refused",
    "ReplyStore",
    "Sending",
    "SimClock",
    "StoredReply",
    "StripeSimulator",
    "stripe_double",
]
