"""What lies between a worker and everybody else: it knows where a request ends, and there faults strike."""
