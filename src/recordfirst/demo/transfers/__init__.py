"""The demo's second story: money held while an order is fulfilled, in a ledger."""
