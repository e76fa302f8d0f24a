-- One workflow, accepted (P7). No row if the id is there.
INSERT INTO recordfirst_start (app, id, workflow, arguments, fingerprint, created_at_ms)
SELECT :app, :id, :workflow, :arguments, :fingerprint, now_ms FROM recordfirst_clock
WHERE true
ON CONFLICT DO NOTHING
RETURNING {start}
