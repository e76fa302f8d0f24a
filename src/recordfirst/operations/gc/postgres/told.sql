-- What the audit row of a run says: whether a batch whose COMMIT was not answered has committed.
SELECT detail FROM recordfirst.audit WHERE app = %(app)s AND number = %(number)s AND command = 'gc'
