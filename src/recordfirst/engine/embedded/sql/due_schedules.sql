-- Schedules whose time has come.
SELECT body FROM schedules WHERE next_run_at <= ? ORDER BY next_run_at LIMIT 100
