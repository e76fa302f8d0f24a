-- Some rows that an encryptor sealed before there was a key of fingerprints: an app that makes one must be able to read them.
SELECT arguments::text FROM recordfirst.start WHERE app = %(app)s AND arguments::text LIKE '{"encrypted"%%' LIMIT 3
