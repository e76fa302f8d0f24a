-- Under which names a provider knows what an effect has made.
SELECT kind, id FROM recordfirst.receipt_reference WHERE app = %(app)s AND key = %(key)s AND attempt = %(attempt)s ORDER BY kind, id
