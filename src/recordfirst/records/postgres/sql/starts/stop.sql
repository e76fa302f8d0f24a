-- A defect stops an open workflow: its epochs so far begin no further step, and the next one waits for a fix. Fenced by
-- the epoch: what an earlier one reports late changes nothing. `stopped_in` keeps the versions that have tried it. One
-- that was failing keeps its failure: the next epoch undoes the rest, and nothing else.
UPDATE recordfirst.start
SET epoch = epoch + 1, min_epoch = epoch + 1, left_in = coalesce(engine, left_in, ''), engine = NULL,
    undo_only = undo_only OR %(error)s::json IS NOT NULL, error = coalesce(%(error)s::json, error),
    stop = %(stop)s::json, stopped_at = clock_timestamp(), tries = 0,
    stopped_in = CASE WHEN position(' ' || %(version)s || ' ' IN coalesce(stopped_in, '')) > 0 THEN stopped_in
                      ELSE coalesce(stopped_in, ' ') || %(version)s || ' ' END
WHERE app = %(app)s AND id = %(id)s AND epoch = %(epoch)s AND (state = 'open') IS TRUE AND stopped_at IS NULL
RETURNING {start}
