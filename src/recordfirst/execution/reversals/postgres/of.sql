-- What is stored of one receipt, in order. By reversal_of.
SELECT {reversal} FROM recordfirst.reversal AS reversal
WHERE app = %(app)s AND key = %(key)s AND attempt = %(attempt)s
ORDER BY number
