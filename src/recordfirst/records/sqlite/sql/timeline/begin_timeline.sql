-- At the first start-up of an app's first worker.
INSERT INTO recordfirst_timeline (app, record, history_id, seen_at_ms)
SELECT :app, :record, :history_id, now_ms FROM recordfirst_clock
WHERE true
ON CONFLICT DO NOTHING
