-- Facts of one receipt are stored, and handled, one after the other.
SELECT 1 FROM recordfirst.receipt WHERE app = %(app)s AND key = %(key)s AND attempt = %(attempt)s FOR UPDATE
