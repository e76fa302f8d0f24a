-- A new event; one that came before, however long ago, changes nothing: its hash is there for good.
INSERT INTO recordfirst_event (app, hash, provider, id, type, livemode, account, names, body, state, happened_at_ms,
                               received_at_ms, next_at_ms)
SELECT :app, :hash, :provider, :id, :type, :livemode, :account, :names, :body, :state, :at_ms,
       now_ms, CASE WHEN :state = 'open' THEN now_ms END
FROM recordfirst_clock WHERE true
ON CONFLICT (hash, app) DO NOTHING
RETURNING hash
