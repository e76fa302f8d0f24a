-- Stopped workflows, longest first; with a version, those that it has not tried. By recordfirst_start_stopped: costs what
-- is stopped.
SELECT {start} FROM recordfirst_start
WHERE app = :app AND stopped_at_ms IS NOT NULL
  AND (:version IS NULL OR instr(stopped_in, ' ' || :version || ' ') = 0)
ORDER BY stopped_at_ms, id
LIMIT :limit
