-- Epochs that are over, and that this engine may still hold. Read from the partial index start_left alone.
SELECT id, min_epoch FROM recordfirst.start
WHERE app = %(app)s AND left_in IN (%(engine)s, '') AND left_in IS NOT NULL
LIMIT %(limit)s
