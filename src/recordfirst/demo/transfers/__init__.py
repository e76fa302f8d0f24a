"""The demo's second scenario: a ledger holds the money while an order is fulfilled."""
