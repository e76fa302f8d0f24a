-- A page of reversals, in the order of their hashes: one has no fingerprint to be keyed.
SELECT hash, error, ':' FROM recordfirst_reversal
WHERE app = :app AND hash > :after
ORDER BY hash
LIMIT :limit
