-- One schedule.
SELECT body FROM schedules WHERE id = ?
