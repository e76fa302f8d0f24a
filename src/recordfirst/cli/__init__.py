"""The command line: ``recordfirst migrate | worker | start | status | show | resolve | retry | demo``."""

from recordfirst.cli.main import main

__all__ = ["main"]
