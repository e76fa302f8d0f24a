-- Some rows that an encryptor sealed before there was a key of fingerprints: an app that makes one must be able to read them.
SELECT arguments FROM recordfirst_start WHERE app = :app AND arguments LIKE '{"encrypted"%' LIMIT 3
