"""The real world: programs of the operating system in real time, and what lies between them and everybody else.

Workers are processes, killed with SIGKILL and stopped with SIGSTOP. Each reaches its record, a shared engine and its
providers through proxies of its own, which know where one request ends and the next begins: there faults strike, and
nowhere is anything said to the code under test.
"""
