-- A new fact; one that is there stays as it is.
INSERT INTO recordfirst_reversal (app, hash, key, attempt, number, kind, id, amount_minor, currency, happened_at_ms, seen_at_ms,
                                  found_by, handled_by, tries, error, next_at_ms)
SELECT :app, :hash, :key, :attempt, :number, :kind, :id, :amount_minor, :currency, :at_ms, now_ms, :found_by, :handled_by, :tries,
       :error, now_ms + :wait_ms
FROM recordfirst_clock WHERE true
ON CONFLICT (hash, app) DO NOTHING
RETURNING hash
