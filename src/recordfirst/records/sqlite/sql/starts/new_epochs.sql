-- A new epoch for all that is open, or all that this engine was given.
UPDATE recordfirst_start SET epoch = epoch + 1, engine = NULL
WHERE app = :app AND state = 'open' AND (:engine IS NULL OR engine = :engine)
RETURNING id
