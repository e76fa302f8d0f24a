-- What a handler is to be tried for again. One of a receipt waits for those before it that are to be tried, too.
SELECT {reversal} FROM recordfirst_reversal AS reversal
WHERE app = :app AND next_at_ms <= (SELECT now_ms FROM recordfirst_clock) AND NOT EXISTS (
    SELECT 1 FROM recordfirst_reversal AS earlier
    WHERE earlier.key = reversal.key AND earlier.app = reversal.app AND earlier.attempt = reversal.attempt
      AND earlier.number < reversal.number AND earlier.next_at_ms IS NOT NULL
)
ORDER BY next_at_ms LIMIT :limit
