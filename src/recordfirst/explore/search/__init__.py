"""Chooses the schedules to try, and shrinks those that break a promise."""
