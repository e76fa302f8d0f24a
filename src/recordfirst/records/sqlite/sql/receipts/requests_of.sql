-- What a workflow has asked of one function under other keys: what is most like the request at hand first, then what has
-- not succeeded. A few of them tell whether the function's key is still made as it was.
SELECT key, request FROM recordfirst_receipt
WHERE app = :app AND workflow = :workflow AND kind = :kind AND function = :function AND key <> :key
ORDER BY fingerprint <> :fingerprint, state = 'succeeded', key
LIMIT 20
