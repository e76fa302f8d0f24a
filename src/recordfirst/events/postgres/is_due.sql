-- Whether something is due: a look that takes no lock.
SELECT 1 FROM recordfirst.event WHERE next_at <= clock_timestamp() AND app = %(app)s LIMIT 1
