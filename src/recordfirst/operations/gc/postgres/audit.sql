-- The audit row of a run, with its first batch.
INSERT INTO recordfirst.audit (app, who, command, subject, why, detail)
VALUES (%(app)s, %(who)s, 'gc', %(app)s, %(why)s, %(detail)s)
RETURNING number
