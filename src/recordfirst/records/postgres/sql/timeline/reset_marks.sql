-- After a restore the next mark goes behind all that an engine has.
UPDATE recordfirst.mark SET number = 0, token = '', confirmed = false WHERE app = %(app)s
