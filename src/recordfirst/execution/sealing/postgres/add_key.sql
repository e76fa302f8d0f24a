-- A key of fingerprints, unless another process made it first.
INSERT INTO recordfirst.sealing_key (app, id, sealed) VALUES (%(app)s, %(id)s, %(sealed)s) ON CONFLICT (app, id) DO NOTHING
