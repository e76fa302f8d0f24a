-- How far a pass has come, and when it came to its end.
SELECT round, position, finished_at_ms FROM recordfirst_pass
WHERE app = :app AND name = :name
