-- The keys of fingerprints, for apps with an encryptor. May be run again without harm.

-- Who has the record alone cannot tell what was encrypted by guessing it: the fingerprint of a request depends on this
-- key, which is encrypted by the app's encryptor. It stays when the encryptor's keys change.
CREATE TABLE IF NOT EXISTS recordfirst_sealing_key (
    app    TEXT NOT NULL,
    id     TEXT NOT NULL,
    sealed TEXT NOT NULL,
    PRIMARY KEY (app, id)
);
