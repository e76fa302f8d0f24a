-- What no handler has stored and none is to be tried for, behind the hash `after`. By recordfirst_reversal_unhandled.
SELECT {reversal} FROM recordfirst_reversal
WHERE app = :app AND handled_by IS NULL AND next_at_ms IS NULL AND hash > :after
ORDER BY hash LIMIT :limit
