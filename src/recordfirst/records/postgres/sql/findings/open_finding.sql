-- One open finding, by the index finding_open, however many are open.
SELECT {finding} FROM recordfirst.finding
WHERE subject = %(subject)s AND code = %(code)s AND app = %(app)s AND closed_at IS NULL
