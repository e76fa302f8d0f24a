-- Facts of one receipt are stored, and handled, one after the other: a transaction of SQLite's has the lock already.
SELECT 1 FROM recordfirst_receipt WHERE app = :app AND key = :key AND attempt = :attempt
