-- What a worker is to take, at the cost of that alone, however many workflows are stopped. May be run again without harm.

-- Open starts that are not stopped, by the engine that has them.
CREATE INDEX IF NOT EXISTS start_to_run ON recordfirst.start (app, engine COLLATE "C", created_at)
    WHERE finished_at IS NULL AND stopped_at IS NULL;

-- Stopped workflows: nearly always none.
CREATE INDEX IF NOT EXISTS start_stopped ON recordfirst.start (app, stopped_at) WHERE stopped_at IS NOT NULL;
