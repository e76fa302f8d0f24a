-- By one worker at a time: it reads the whole table of promises, and locks what it fires until its end.
SELECT resonate.process_timeouts()
FROM (SELECT pg_try_advisory_xact_lock(hashtextextended('recordfirst timers', 0)) AS ours) AS asked
WHERE ours
