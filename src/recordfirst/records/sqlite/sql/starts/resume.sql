-- A stopped workflow may go on, in the epoch that it has. `forget`: an operator says so, and every version may try it.
UPDATE recordfirst_start
SET stop = NULL, stopped_at_ms = NULL, stopped_in = CASE WHEN NOT :forget THEN stopped_in END
WHERE app = :app AND id = :id AND epoch = :epoch AND stopped_at_ms IS NOT NULL AND state = 'open'
RETURNING {start}
