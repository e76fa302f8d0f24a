-- After each page, and at the end.
INSERT INTO recordfirst_pass (app, name, round, position, finished_at_ms)
SELECT :app, :name, :round, :position, CASE WHEN :finished THEN now_ms END FROM recordfirst_clock
WHERE true
ON CONFLICT (name, app)
DO UPDATE SET round = excluded.round, position = excluded.position, finished_at_ms = excluded.finished_at_ms
