"""All that reaches inside Resonate's SDK, held against its pinned version by tests/engine."""
