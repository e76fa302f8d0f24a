"""The command line of recordfirst; ``recordfirst --help`` lists the commands."""

from recordfirst.cli.main import main

__all__ = ["main"]
