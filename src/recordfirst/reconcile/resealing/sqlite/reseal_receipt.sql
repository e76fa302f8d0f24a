-- The same values under the newest key, unless the receipt has changed since it was read.
UPDATE recordfirst_receipt SET request = :request, fingerprint = :fingerprint, frozen = :frozen,
    result = :result, reply = :reply, error = :error
WHERE app = :app AND key = :key AND attempt = :attempt AND revision = :revision AND fingerprint = :was
RETURNING key
