"""Engines side by side: steps that do nothing, with many finished workflows in the store. ``--help`` tells more."""
