-- The same body under the newest key, unless its retention has ended since it was read: nothing else changes it.
UPDATE recordfirst_event SET body = :body, error = :error
WHERE app = :app AND hash = :hash AND body IS NOT NULL AND ':' = :was
RETURNING hash
