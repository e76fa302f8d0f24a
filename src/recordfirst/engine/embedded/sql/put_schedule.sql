-- A schedule as it is now.
INSERT OR REPLACE INTO schedules (id, next_run_at, body) VALUES (?, ?, ?)
