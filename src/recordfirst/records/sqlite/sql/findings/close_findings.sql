-- Closes what was repaired.
UPDATE recordfirst_finding
SET closed_at_ms = now_ms, closed_because = json_extract(done, '$.because')
FROM (SELECT value AS done FROM json_each(:rows)), recordfirst_clock
WHERE app = :app AND closed_at_ms IS NULL
  AND subject = json_extract(done, '$.subject') AND code = json_extract(done, '$.code')
