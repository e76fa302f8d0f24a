-- Every attempt of one effect.
SELECT {receipt} FROM recordfirst.receipt
WHERE app = %(app)s AND key = %(key)s
ORDER BY attempt
