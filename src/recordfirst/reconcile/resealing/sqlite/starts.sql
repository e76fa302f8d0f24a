-- A page of starts, by id, behind the one given.
SELECT id, arguments, fingerprint, result, error, state, epoch, min_epoch, stop
FROM recordfirst_start
WHERE app = :app AND id > :after ORDER BY id LIMIT :limit
