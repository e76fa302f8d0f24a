"""Declare: workflows, writes, effects, reads and the rest. Nothing here runs anything."""
