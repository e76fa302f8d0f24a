-- The next mark, unless somebody else was faster.
INSERT INTO recordfirst.mark AS mark (app, engine, space, number, token, confirmed)
VALUES (%(app)s, %(engine)s, %(space)s, %(number)s, %(token)s, false)
ON CONFLICT (engine, app)
DO UPDATE SET space = excluded.space, number = excluded.number, token = excluded.token, confirmed = false
WHERE mark.number = %(seen)s
