-- The same key, encrypted by the encryptor's newest key; by its old text, so that of two the first counts.
UPDATE recordfirst.sealing_key SET sealed = %(sealed)s WHERE app = %(app)s AND id = %(id)s AND sealed = %(was)s RETURNING id
