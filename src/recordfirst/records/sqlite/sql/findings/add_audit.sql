-- In the transaction of what it tells of.
INSERT INTO recordfirst_audit (app, at_ms, who, command, subject, why, detail)
SELECT :app, now_ms, :who, :command, :subject, :why, :detail FROM recordfirst_clock
