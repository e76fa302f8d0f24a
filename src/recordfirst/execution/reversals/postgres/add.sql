-- A new fact; one that is there stays as it is.
INSERT INTO recordfirst.reversal (app, hash, key, attempt, number, kind, id, amount_minor, currency, happened_at, found_by, handled_by,
                                  tries, error, next_at)
VALUES (%(app)s, %(hash)s, %(key)s, %(attempt)s, %(number)s, %(kind)s, %(id)s, %(amount_minor)s, %(currency)s,
        to_timestamp(%(at_ms)s::bigint / 1000.0), %(found_by)s, %(handled_by)s, %(tries)s, %(error)s,
        clock_timestamp() + %(wait_ms)s::bigint * interval '1 millisecond')
ON CONFLICT (hash, app) DO NOTHING
RETURNING hash
