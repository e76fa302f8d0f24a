-- start_to_run has taken its place. May be run again without harm.
DROP INDEX IF EXISTS recordfirst.start_by_engine;
