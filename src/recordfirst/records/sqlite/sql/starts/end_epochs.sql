-- An operator ends an open workflow: its epochs so far begin no further step. The next one, if there is to be one, undoes.
UPDATE recordfirst_start
SET epoch = epoch + 1, min_epoch = epoch + 1, left_in = coalesce(engine, left_in, ''), engine = NULL,
    state = CASE WHEN :undo THEN 'open' ELSE 'cancelled' END,
    finished_at_ms = CASE WHEN NOT :undo THEN now_ms END,
    undo_only = :undo, stop = NULL, stopped_at_ms = NULL, stopped_in = NULL, tries = 0, error = :error
FROM recordfirst_clock
WHERE app = :app AND id = :id AND state = 'open'
RETURNING {start}
