-- What undos of what was collected have taken back: their receipts are gone, too.
DELETE FROM recordfirst.undoing WHERE app = %(app)s AND workflow = ANY(%(workflow)s::text[])
