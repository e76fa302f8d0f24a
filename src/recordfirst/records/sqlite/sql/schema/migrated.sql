-- A step of the schema was run.
INSERT INTO recordfirst_migration (version, name, applied_at_ms)
SELECT :version, :name, now_ms FROM recordfirst_clock
WHERE true
ON CONFLICT DO NOTHING
