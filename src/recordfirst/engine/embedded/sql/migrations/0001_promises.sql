-- The whole file. A promise and its task are one row, so that what a request changes is one write; `body` has all of
-- both, the other columns are what is looked for. WITHOUT ROWID, so that a lineage lies together on disk.
CREATE TABLE IF NOT EXISTS meta (identity TEXT NOT NULL, version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS promises (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    task TEXT,
    live INTEGER,
    due_at INTEGER,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS promises_due ON promises (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS promises_live ON promises (id) WHERE live;
CREATE TABLE IF NOT EXISTS schedules (id TEXT PRIMARY KEY, next_run_at INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS schedules_due ON schedules (next_run_at);
