"""A run: its schedule, its events, what was seen of it, and the names of all that. Pure."""
