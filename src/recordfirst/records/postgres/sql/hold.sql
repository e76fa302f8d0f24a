-- From here on no effect is begun, whoever works.
UPDATE recordfirst.timeline SET held = %(code)s, held_at = clock_timestamp()
WHERE app = %(app)s AND held IS NULL
