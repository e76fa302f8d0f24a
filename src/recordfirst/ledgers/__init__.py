"""Double entry: a contract, its rules as a pure model, and one package for each kind of ledger."""
