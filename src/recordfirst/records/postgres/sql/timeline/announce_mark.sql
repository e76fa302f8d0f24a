-- The next mark, unless somebody else was faster.
INSERT INTO recordfirst.mark AS mark (app, engine, generation, number, token, confirmed)
VALUES (%(app)s, %(engine)s, %(generation)s, %(number)s, %(token)s, false)
ON CONFLICT (engine, app)
DO UPDATE SET generation = excluded.generation, number = excluded.number, token = excluded.token, confirmed = false
WHERE mark.number = %(seen)s
