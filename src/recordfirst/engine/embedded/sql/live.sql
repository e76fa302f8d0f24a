-- Tasks that were with the process that had the file before, or waited for it.
SELECT id FROM promises WHERE live AND id > ? ORDER BY id LIMIT ?
