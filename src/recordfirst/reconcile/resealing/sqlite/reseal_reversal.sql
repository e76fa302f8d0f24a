-- The same error under the newest key, unless it was handled since it was read.
UPDATE recordfirst_reversal SET error = :error
WHERE app = :app AND hash = :hash AND error IS NOT NULL AND ':' = :was
RETURNING hash
