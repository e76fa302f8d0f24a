"""The real world: programs of the operating system in real time, and the proxies between them and everything else.

Workers are processes that are killed with SIGKILL and stopped with SIGSTOP. Each reaches its record, a shared engine
and its providers through its own proxies, which know where one request ends and the next begins. There faults strike.
The code under test is told nothing.
"""
