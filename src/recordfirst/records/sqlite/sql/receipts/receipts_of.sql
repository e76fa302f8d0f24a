-- All that one workflow did, in the order in which it began (rows are never deleted, so rowids follow time).
SELECT {receipt} FROM recordfirst_receipt
WHERE app = :app AND workflow = :workflow
ORDER BY rowid
