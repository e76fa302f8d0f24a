-- The same key, encrypted by the encryptor's newest key; by its old text, so that of two the first counts.
UPDATE recordfirst_sealing_key SET sealed = :sealed WHERE app = :app AND id = :id AND sealed = :was RETURNING id
