-- Whether this role may ask which cluster this is: some hosts take that right away. Asked apart, since the right is
-- looked at before a statement runs.
SELECT has_function_privilege('pg_control_system()', 'EXECUTE')
   AND has_function_privilege('pg_current_wal_lsn()', 'EXECUTE')
   AND has_function_privilege('pg_walfile_name(pg_lsn)', 'EXECUTE')
