"""Operators' commands: each changes the record first, with its audit row, and can be repeated."""
