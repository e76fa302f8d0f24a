"""What belongs to this process alone: whose it is, its threads and places, time limits, group commit."""
