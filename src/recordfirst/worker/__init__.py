"""A process's part in the work: its lease, what it hands to the engine, and what it stores of ends."""
