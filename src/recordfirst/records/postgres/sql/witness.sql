-- Which cluster this is, and its timeline: a restore to a point in time and a fail-over begin another.
SELECT system_identifier::text || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) FROM pg_control_system()
