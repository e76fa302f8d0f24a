-- A trigger releases what they hold, on both sides.
UPDATE recordfirst_ledger_pending SET status = 'expired'
WHERE app = :app AND id IN (SELECT json_extract(value, '$.id') FROM json_each(:rows)) AND status = 'pending'
