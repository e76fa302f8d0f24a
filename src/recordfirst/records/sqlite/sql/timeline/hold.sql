-- From here on no effect is begun, by any worker. Unless a restore was accepted since this was looked at.
UPDATE recordfirst_timeline SET held = :code, held_at_ms = (SELECT now_ms FROM recordfirst_clock)
WHERE app = :app AND held IS NULL AND restores = :restores
