-- Who holds what this session waits for, or stands before it in the queue; a prepared transaction has no session.
SELECT other.pid, coalesce(other.application_name, ''), other.usename, host(other.client_addr), other.state,
       extract(epoch FROM clock_timestamp() - other.xact_start)::bigint
FROM unnest(pg_blocking_pids(%(pid)s)) AS blocker (pid)
LEFT JOIN pg_stat_activity AS other ON other.pid = blocker.pid
