-- A root and all below it, in one range of the primary key: ';' is the character behind ':'.
SELECT body FROM promises WHERE id = ?1 OR (id > ?1 || ':' AND id < ?1 || ';')
