-- Stopped workflows, longest first; with a version, those that it has not tried. By start_stopped: costs what is stopped.
SELECT {start} FROM recordfirst.start
WHERE app = %(app)s AND stopped_at IS NOT NULL
  AND (%(version)s::text IS NULL OR position(' ' || %(version)s::text || ' ' IN stopped_in) = 0)
ORDER BY stopped_at, id
LIMIT %(limit)s
