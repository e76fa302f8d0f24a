-- A failed workflow's next epoch, which no engine has yet. Who cancelled it, and why, stays. `again` says which attempts
-- are behind it: what was undone or declined is asked for anew, under a new key.
UPDATE recordfirst_start
SET state = 'open', epoch = epoch + 1, engine = NULL, result = NULL, error = CASE WHEN undo_only AND :again IS NULL THEN error END,
    undo_only = undo_only AND :again IS NULL,
    finished_at_ms = NULL, stopped_in = NULL, tries = 0, again = coalesce(:again, again)
WHERE app = :app AND id = :id AND state = 'failed'
RETURNING {start}
