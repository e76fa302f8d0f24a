-- A page of events, in the order of their hashes: one has no fingerprint to be keyed.
SELECT hash, body, error, ':' FROM recordfirst_event
WHERE app = :app AND hash > :after
ORDER BY hash
LIMIT :limit
