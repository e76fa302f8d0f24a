-- What a handler is to be tried for again. One of a receipt waits for those before it that are to be tried, too.
SELECT {reversal} FROM recordfirst.reversal AS reversal
WHERE app = %(app)s AND next_at <= clock_timestamp() AND NOT EXISTS (
    SELECT 1 FROM recordfirst.reversal AS earlier
    WHERE earlier.key = reversal.key AND earlier.app = reversal.app AND earlier.attempt = reversal.attempt
      AND earlier.number < reversal.number AND earlier.next_at IS NOT NULL
)
ORDER BY next_at LIMIT %(limit)s
