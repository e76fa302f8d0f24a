-- Under which names a provider knows what an effect has made.
SELECT kind, id FROM recordfirst_receipt_reference WHERE app = :app AND key = :key AND attempt = :attempt ORDER BY kind, id
