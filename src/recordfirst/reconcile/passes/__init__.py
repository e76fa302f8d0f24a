"""One file for each thing that a reconcile compares."""
