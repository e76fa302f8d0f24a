-- A body is about to be begun again: counted before it runs, so that a process which dies under it has said so.
UPDATE recordfirst_start SET tries = tries + 1
WHERE app = :app AND id = :id AND epoch = :epoch AND tries < :below AND state = 'open' AND stopped_at_ms IS NULL
RETURNING tries
