-- Take what is due, oldest first: nobody else does for so long. Who dies with it leaves it to the next. Not
-- of the providers `besides`, of whose events enough are being taken up.
UPDATE recordfirst_event SET next_at_ms = (SELECT now_ms FROM recordfirst_clock) + :claim_ms
WHERE (hash, app) IN (
    SELECT hash, app FROM recordfirst_event
    WHERE next_at_ms <= (SELECT now_ms FROM recordfirst_clock) AND app = :app
      AND instr(:besides, char(10) || provider || char(10)) = 0
    ORDER BY next_at_ms LIMIT :limit
)
RETURNING {event}
