"""Bugs that were put into recordfirst on purpose: the explorer must find every one."""
