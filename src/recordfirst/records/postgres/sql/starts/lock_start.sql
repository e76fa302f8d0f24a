-- One start, so that no epoch of it begins a step until this transaction ends; see add_receipt.sql.
SELECT {start} FROM recordfirst.start WHERE app = %(app)s AND id = %(id)s FOR UPDATE
