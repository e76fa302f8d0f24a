-- What a workflow has asked of one function under other keys: what is most like the request at hand first, then what has
-- not succeeded. A few of them tell whether the function's key is still made as it was.
SELECT key, request::text FROM recordfirst.receipt
WHERE app = %(app)s AND workflow = %(workflow)s AND kind = %(kind)s AND function = %(function)s AND key <> %(key)s
ORDER BY fingerprint <> %(fingerprint)s, state = 'succeeded', key
LIMIT 20
