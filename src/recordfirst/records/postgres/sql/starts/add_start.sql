-- One workflow, accepted (P7). Waits for a transaction that is storing the same id; no row if that commits.
INSERT INTO recordfirst.start (app, id, workflow, arguments, fingerprint)
VALUES (%(app)s, %(id)s, %(workflow)s, %(arguments)s, %(fingerprint)s)
ON CONFLICT DO NOTHING
RETURNING {start}
