"""The proxies between a worker and everything else. They know where a request ends, and there faults strike."""
