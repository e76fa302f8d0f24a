-- At the end of a whole round: what it has no longer seen is not there. What others saw since it began may have come behind it.
UPDATE recordfirst_finding
SET closed_at_ms = now_ms, closed_because = 'no longer seen'
FROM (SELECT value AS passed FROM json_each(:rows)), recordfirst_clock
WHERE app = :app AND closed_at_ms IS NULL
  AND code = json_extract(passed, '$.code') AND round <> json_extract(passed, '$.round')
  AND (json_extract(passed, '$.since_ms') IS NULL OR seen_at_ms < json_extract(passed, '$.since_ms'))
