-- Compare and set: the next state of a receipt, if nobody changed it since it was read. Beginning a call is another
-- statement, begin_call.sql.
UPDATE recordfirst_receipt
SET {change}
FROM recordfirst_clock AS clock
WHERE app = :app AND key = :key AND attempt = :attempt AND revision = :revision
RETURNING {receipt}
