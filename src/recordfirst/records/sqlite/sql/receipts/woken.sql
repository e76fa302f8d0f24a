-- What is unknown or pending, and parked again, since then stays parked.
-- `+` keeps the index of wakes out of it, which would lead through all that is to be woken, for each of these.
UPDATE recordfirst_receipt
SET parked_on = NULL, revision = revision + 1
FROM (SELECT value AS woken FROM json_each(:rows))
WHERE app = :app AND key = json_extract(woken, '$.key') AND attempt = json_extract(woken, '$.attempt')
  AND parked_on = json_extract(woken, '$.parked_on') AND +state NOT IN ('unknown', 'pending')
