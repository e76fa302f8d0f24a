"""The fast world: everything is in SQLite files; it runs some tens of schedules a second."""
