-- A new event; one that came before, however long ago, changes nothing: its hash is there for good.
INSERT INTO recordfirst.event (app, hash, provider, id, type, livemode, account, names, body, state, happened_at, next_at)
VALUES (%(app)s, %(hash)s, %(provider)s, %(id)s, %(type)s, %(livemode)s, %(account)s, %(names)s, %(body)s, %(state)s,
        to_timestamp(%(at_ms)s::bigint / 1000.0),
        CASE WHEN %(state)s = 'open' THEN clock_timestamp() END)
ON CONFLICT (hash, app) DO NOTHING
RETURNING hash
