-- Takes as many points in time; they go up, whatever the clock does. The transaction holds the lock already.
INSERT INTO recordfirst_ledger_clock (app, timestamp)
SELECT :app, now_ms * 1000000 FROM recordfirst_clock WHERE true
ON CONFLICT (app) DO UPDATE SET timestamp = max(timestamp + :count, excluded.timestamp)
RETURNING timestamp
