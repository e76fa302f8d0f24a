"""Whole programs that nobody wrote: generated, run under faults, and judged by a model that never asks the product.

``recordfirst.explore`` varies deaths over a given workflow. Here the workflow itself is varied: its steps, what they
are given and raise, how its body combines them, how providers answer, and what the next version of it changes.
"""
