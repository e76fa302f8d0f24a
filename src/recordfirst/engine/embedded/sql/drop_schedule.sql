-- A schedule that was deleted.
DELETE FROM schedules WHERE id = ?
