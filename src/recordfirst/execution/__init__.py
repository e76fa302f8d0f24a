"""Run what ``steps/`` declares: bodies, one runner for each kind of step, undo, and patience with the record."""
