"""Who runs the order workflow. One module each, loaded in the process that measures it.

``open(setting)`` makes all ready in an empty database and gives the function that brings one order to its end.
"""
