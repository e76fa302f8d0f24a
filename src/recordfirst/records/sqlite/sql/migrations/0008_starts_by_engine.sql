-- What an engine does not have, at the cost of that alone, however much it has. May be run again without harm.

-- Open starts by the engine that has them. Open is said as no other statement says it: none is led to look here by the app
-- alone, and so to read all that is open.
CREATE INDEX IF NOT EXISTS recordfirst_start_by_engine ON recordfirst_start (app, engine, created_at_ms)
    WHERE finished_at_ms IS NULL;
