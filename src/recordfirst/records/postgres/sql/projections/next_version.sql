-- The next version of a projection. Locks its row until the transaction ends: a worker that reads the record behind it,
-- in the same transaction, sees it as it is or newer than all that had a lower version.
INSERT INTO recordfirst.projection AS old (app, key, function, workflow, fingerprint, request, version)
VALUES (
    %(app)s, %(key)s, %(function)s, %(workflow)s, %(fingerprint)s, %(request)s::json, %(above)s::bigint + 1
)
ON CONFLICT (key, app) DO UPDATE SET
    version = greatest(old.version, %(above)s::bigint) + 1,
    workflow = coalesce(excluded.workflow, old.workflow),
    asked_at = CASE WHEN old.projected < old.version THEN old.asked_at ELSE clock_timestamp() END
RETURNING {projection}
