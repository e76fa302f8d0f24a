-- Say what an undo takes back, before it is called. What was said first of an undo's key stands.
INSERT INTO recordfirst.undoing (app, key, attempt, undoes, undoes_attempt, workflow)
VALUES (%(app)s, %(key)s, %(attempt)s, %(undoes)s, %(undoes_attempt)s, %(workflow)s)
ON CONFLICT DO NOTHING
