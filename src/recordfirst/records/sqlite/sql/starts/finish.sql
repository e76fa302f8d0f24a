-- A record that was restored under this process has not its mark, and may not have what the epoch has done.
-- The ends of many epochs. Fenced by the epoch: what an earlier epoch reports late changes nothing.
-- `+` keeps the index by state out of it, which would lead through all that is open, for each of these.
UPDATE recordfirst_start
SET state = json_extract(ended, '$.state'),
    result = json_extract(ended, '$.result'),
    error = json_extract(ended, '$.error'),
    finished_at_ms = now_ms
FROM (SELECT value AS ended FROM json_each(:rows)), recordfirst_clock
WHERE app = :app AND id = json_extract(ended, '$.id') AND epoch = json_extract(ended, '$.epoch') AND +state = 'open'
  AND (:mark_engine IS NULL OR EXISTS (
      SELECT 1 FROM recordfirst_mark
      WHERE app = :app AND engine = :mark_engine AND (generation, number) >= (:mark_generation, :mark_number)
  ))
RETURNING id
