-- What an engine does not have, at the cost of that alone, however much it has. May be run again without harm.
-- To dispatch a start changes an index from here on. Most end before that: they are dispatched when a worker looks about.

-- Open starts by the engine that has them. Open is said as no other statement says it: none is led to look here by the app
-- alone, and so to read all that is open.
CREATE INDEX IF NOT EXISTS start_by_engine ON recordfirst.start (app, engine COLLATE "C", created_at)
    WHERE finished_at IS NULL;
