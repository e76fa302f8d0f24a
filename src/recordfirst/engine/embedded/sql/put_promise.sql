-- The hot path: a promise and its task as they are now.
INSERT OR REPLACE INTO promises (id, state, task, live, due_at, body) VALUES (?, ?, ?, ?, ?, ?)
