-- One step from lineage to lineage.
SELECT id FROM promises WHERE id > ? ORDER BY id LIMIT 1
