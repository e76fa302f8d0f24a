-- The next version of a projection. A worker that reads the record behind it, in the same transaction, sees it as it is
-- or newer than all that had a lower version.
INSERT INTO recordfirst_projection (app, key, function, workflow, fingerprint, request, version, asked_at_ms)
SELECT :app, :key, :function, :workflow, :fingerprint, :request, :above + 1, now_ms FROM recordfirst_clock
WHERE true
ON CONFLICT (key, app) DO UPDATE SET
    version = max(version, :above) + 1,
    workflow = coalesce(excluded.workflow, workflow),
    asked_at_ms = CASE WHEN projected < version THEN asked_at_ms ELSE excluded.asked_at_ms END
RETURNING {projection}
