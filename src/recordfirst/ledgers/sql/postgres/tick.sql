-- Waits for a transaction that makes transfers or accounts, and takes as many points in time; they go up, whatever the clock does.
INSERT INTO recordfirst.ledger_clock AS clock (app, timestamp)
VALUES (%(app)s, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000)
ON CONFLICT (app) DO UPDATE
SET timestamp = greatest(
    clock.timestamp + %(count)s::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000
)
RETURNING timestamp
