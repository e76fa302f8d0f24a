-- task.search.
SELECT body FROM promises WHERE id > ? AND task = coalesce(?, task) ORDER BY id LIMIT ?
