-- What undos of what was collected have taken back: their receipts are gone, too.
DELETE FROM recordfirst_undoing
WHERE app = :app AND workflow IN (SELECT json_extract(value, '$.workflow') FROM json_each(:rows))
