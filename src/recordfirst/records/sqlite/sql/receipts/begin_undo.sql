-- Say what an undo takes back, before it is called. What was said first of an undo's key stands.
INSERT INTO recordfirst_undoing (app, key, attempt, undoes, undoes_attempt, workflow)
VALUES (:app, :key, :attempt, :undoes, :undoes_attempt, :workflow)
ON CONFLICT DO NOTHING
