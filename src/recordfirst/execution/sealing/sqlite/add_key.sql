-- A key of fingerprints, unless another process made it first.
INSERT INTO recordfirst_sealing_key (app, id, sealed) VALUES (:app, :id, :sealed) ON CONFLICT (app, id) DO NOTHING
