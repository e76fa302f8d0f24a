"""What a run is: the schedule it was given, what happened, what was there to be seen, and how that is called. Pure."""
