-- Which of the server's sessions answers: a number comes again, a number with its beginning does not.
SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()
