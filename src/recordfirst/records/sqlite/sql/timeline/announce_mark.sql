-- The next mark, unless somebody else was faster.
INSERT INTO recordfirst_mark (app, engine, space, number, token, confirmed)
VALUES (:app, :engine, :space, :number, :token, false)
ON CONFLICT (engine, app)
DO UPDATE SET space = excluded.space, number = excluded.number, token = excluded.token, confirmed = false
WHERE recordfirst_mark.number = :seen
