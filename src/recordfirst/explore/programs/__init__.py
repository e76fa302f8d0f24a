"""Whole programs that are generated, run under faults, and judged by a model that never asks the product.

``recordfirst.explore`` varies the faults of a given workflow. This package also varies the workflow itself: its steps,
their arguments and exceptions, how its body combines them, how providers answer, and what its next version changes.
"""
