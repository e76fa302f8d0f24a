-- After each page, and at the end.
INSERT INTO recordfirst.pass (app, name, round, position, finished_at)
VALUES (%(app)s, %(name)s, %(round)s, %(position)s, CASE WHEN %(finished)s THEN clock_timestamp() END)
ON CONFLICT (name, app)
DO UPDATE SET round = excluded.round, position = excluded.position, finished_at = excluded.finished_at
