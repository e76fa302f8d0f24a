-- The keys of this app's fingerprints, each encrypted by the app's encryptor; the last is in use.
SELECT id, sealed FROM recordfirst.sealing_key WHERE app = %(app)s ORDER BY id
