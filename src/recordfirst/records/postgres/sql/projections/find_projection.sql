-- One projection by its key.
SELECT {projection} FROM recordfirst.projection WHERE app = %(app)s AND key = %(key)s
