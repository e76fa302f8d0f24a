"""The fast world: all in files of SQLite, some tens of schedules a second."""
