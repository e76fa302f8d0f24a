-- The newest mark for this engine.
SELECT generation, number, token, confirmed FROM recordfirst.mark WHERE app = %(app)s AND engine = %(engine)s
