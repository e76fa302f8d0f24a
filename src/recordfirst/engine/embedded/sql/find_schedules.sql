-- schedule.search, without its tags.
SELECT body FROM schedules WHERE id > ? ORDER BY id
