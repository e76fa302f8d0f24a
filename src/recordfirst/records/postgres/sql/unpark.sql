-- What a life that is over was parked on is waited for by nobody.
UPDATE recordfirst.receipt SET parked_on = NULL, revision = revision + 1
WHERE app = %(app)s AND workflow = %(workflow)s AND parked_on IS NOT NULL
