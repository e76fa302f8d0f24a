-- At the end of a whole round: what it has no longer seen is not there.
UPDATE recordfirst_finding
SET closed_at_ms = now_ms, closed_because = 'no longer seen'
FROM (SELECT value AS passed FROM json_each(:rows)), recordfirst_clock
WHERE app = :app AND closed_at_ms IS NULL
  AND code = json_extract(passed, '$.code') AND round <> json_extract(passed, '$.round')
