"""What was broken: the promises and the user's own invariants, by what was seen from outside."""
