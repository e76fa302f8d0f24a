"""What belongs to this process alone: whose it is, its threads, places and locks, time limits, group commit."""
