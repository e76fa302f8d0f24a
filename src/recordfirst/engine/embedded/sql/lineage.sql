-- A root and all below it, in one range of the primary key: ';' is the character behind ':'.
SELECT body FROM promises WHERE id = :origin OR (id > :origin || ':' AND id < :origin || ';')
