"""The demo: real purchase records as orders that are never charged twice, while workers are killed."""
