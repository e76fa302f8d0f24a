-- Which cluster this is, its timeline, database and table: a restore to a point in time and a fail-over begin another
-- timeline, and what pg_dump, a template or a drop has made anew is another database, or has other tables.
SELECT system_identifier::text || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || '/' || (
    SELECT oid FROM pg_database WHERE datname = current_database()
)::text || '/' || 'recordfirst.timeline'::regclass::oid::text
FROM pg_control_system()
