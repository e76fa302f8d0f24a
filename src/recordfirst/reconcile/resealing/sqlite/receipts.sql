-- A page of receipts, by key and attempt, behind the one given.
SELECT key, attempt, request, fingerprint, frozen, result, reply, error, revision
FROM recordfirst_receipt
WHERE app = :app AND (key, attempt) > (:after, :after_attempt) ORDER BY key, attempt LIMIT :limit
