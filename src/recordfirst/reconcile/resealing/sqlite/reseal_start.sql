-- The same values under the newest key, unless the start has changed since it was read.
UPDATE recordfirst_start SET arguments = :arguments, fingerprint = :fingerprint, result = :result,
    error = :error, stop = :stop
WHERE app = :app AND id = :id AND state = :state AND epoch = :epoch AND fingerprint = :was
  AND coalesce(min_epoch, 0) = coalesce(:min_epoch, 0)
RETURNING id
