"""Workflows that are broken on purpose, as people write them: the explorer must find what is wrong with each."""
