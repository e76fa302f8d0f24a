-- The audit row of a run, with its first batch.
INSERT INTO recordfirst_audit (app, at_ms, who, command, subject, why, detail)
SELECT :app, now_ms, :who, 'gc', :app, :why, :detail FROM recordfirst_clock
RETURNING number
