-- What nobody has dealt with, behind the hash `after`. By recordfirst_reversal_unhandled.
SELECT {reversal} FROM recordfirst_reversal AS reversal
WHERE app = :app AND handled_by IS NULL AND hash > :after
ORDER BY hash LIMIT :limit
