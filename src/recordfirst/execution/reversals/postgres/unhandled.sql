-- What nobody has dealt with, behind the hash `after`. By reversal_unhandled.
SELECT {reversal} FROM recordfirst.reversal AS reversal
WHERE app = %(app)s AND handled_by IS NULL AND hash > %(after)s
ORDER BY hash LIMIT %(limit)s
