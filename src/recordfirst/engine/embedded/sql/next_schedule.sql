-- When the next schedule's time comes.
SELECT min(next_run_at) FROM schedules
