-- The audit row of a run, with each further batch.
UPDATE recordfirst.audit SET detail = %(detail)s WHERE app = %(app)s AND number = %(number)s
