-- From here on no effect is begun, whoever works.
UPDATE recordfirst_timeline SET held = :code, held_at_ms = (SELECT now_ms FROM recordfirst_clock)
WHERE app = :app AND held IS NULL
