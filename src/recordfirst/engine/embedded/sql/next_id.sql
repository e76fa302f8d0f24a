-- One step from root to root, or over what is below one.
SELECT id FROM promises WHERE id > ? ORDER BY id LIMIT 1
