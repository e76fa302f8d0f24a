-- The engine has it.
UPDATE recordfirst.mark SET confirmed = true
WHERE app = %(app)s AND engine = %(engine)s AND number = %(number)s AND token = %(token)s
