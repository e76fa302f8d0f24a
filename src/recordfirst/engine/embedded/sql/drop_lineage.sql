-- The same rows, deleted.
DELETE FROM promises WHERE id = ?1 OR (id > ?1 || ':' AND id < ?1 || ';')
