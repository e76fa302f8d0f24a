"""Which schedules are tried, and how those that break a promise are made smaller."""
