"""Finds the promises and the user's own invariants that a run has broken, by what was seen from outside."""
