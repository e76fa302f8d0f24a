"""How many transfers a ledger makes per second, and what each costs."""
