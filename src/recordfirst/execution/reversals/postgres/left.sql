-- How many nobody has dealt with: to be tried, and not by itself. By reversal_unhandled: costs what there is of these.
SELECT 'reversal.open', count(*) FROM recordfirst.reversal
WHERE app = %(app)s AND handled_by IS NULL AND next_at IS NOT NULL
UNION ALL
SELECT 'reversal.stopped', count(*) FROM recordfirst.reversal
WHERE app = %(app)s AND handled_by IS NULL AND next_at IS NULL
