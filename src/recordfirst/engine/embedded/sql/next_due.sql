-- When the next thing happens by itself.
SELECT min(due_at) FROM promises WHERE due_at IS NOT NULL
