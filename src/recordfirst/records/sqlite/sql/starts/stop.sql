-- A defect stops an open workflow: its epochs so far begin no further step, and the next one waits for a fix. Fenced by
-- the epoch: what an earlier one reports late changes nothing. `stopped_in` keeps the versions that have tried it. One
-- that was failing keeps its failure: the next epoch undoes the rest, and nothing else.
UPDATE recordfirst_start
SET epoch = epoch + 1, min_epoch = epoch + 1, left_in = coalesce(engine, left_in, ''), engine = NULL,
    undo_only = undo_only OR :error IS NOT NULL, error = coalesce(:error, error),
    stop = :stop, stopped_at_ms = now_ms, tries = 0,
    stopped_in = CASE WHEN instr(coalesce(stopped_in, ''), ' ' || :version || ' ') > 0 THEN stopped_in
                      ELSE coalesce(stopped_in, ' ') || :version || ' ' END
FROM recordfirst_clock
WHERE app = :app AND id = :id AND epoch = :epoch AND state = 'open' AND stopped_at_ms IS NULL
RETURNING {start}
