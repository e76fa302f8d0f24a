-- The same rows, deleted.
DELETE FROM promises WHERE id = :origin OR (id > :origin || ':' AND id < :origin || ';')
