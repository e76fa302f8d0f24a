-- A step of the schema was run.
INSERT INTO recordfirst.migration (version, name) VALUES (%(version)s, %(name)s)
ON CONFLICT DO NOTHING
