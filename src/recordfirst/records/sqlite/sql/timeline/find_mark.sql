-- The newest mark for this engine.
SELECT generation, number, token, confirmed FROM recordfirst_mark WHERE app = :app AND engine = :engine
