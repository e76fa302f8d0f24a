-- At the end of a whole round: what it has not seen is not there any more.
UPDATE recordfirst_finding
SET closed_at_ms = now_ms, closed_because = 'not seen any more'
FROM (SELECT value AS passed FROM json_each(:rows)), recordfirst_clock
WHERE app = :app AND closed_at_ms IS NULL
  AND code = json_extract(passed, '$.code') AND round <> json_extract(passed, '$.round')
