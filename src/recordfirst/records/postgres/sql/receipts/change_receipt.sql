-- Compare and set: the next state of a receipt, if nobody changed it since it was read. Beginning a call is another
-- statement, begin_call.sql, whose conditions would make Postgres plan this one, the hot path, anew each time.
UPDATE recordfirst.receipt
SET {change}
FROM (SELECT clock_timestamp() AS now) AS clock
WHERE app = %(app)s AND key = %(key)s AND attempt = %(attempt)s AND revision = %(revision)s
RETURNING {receipt}
