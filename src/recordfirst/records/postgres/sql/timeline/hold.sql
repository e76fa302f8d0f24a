-- From here on no effect is begun, by any worker. Unless a restore was accepted since this was looked at.
UPDATE recordfirst.timeline SET held = %(code)s, held_at = clock_timestamp()
WHERE app = %(app)s AND held IS NULL AND restores = %(restores)s
