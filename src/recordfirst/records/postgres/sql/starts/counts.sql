-- Finished starts and succeeded effects are counted row by row; the others cost what there is of them.
SELECT 'start.open', count(*) FROM recordfirst.start WHERE app = %(app)s AND state = 'open'
UNION ALL
SELECT 'start.stopped', count(*) FROM recordfirst.start WHERE app = %(app)s AND stopped_at IS NOT NULL
UNION ALL
SELECT 'start.succeeded', count(*) FROM recordfirst.start WHERE app = %(app)s AND state = 'succeeded'
UNION ALL
SELECT 'start.failed', count(*) FROM recordfirst.start WHERE app = %(app)s AND state = 'failed'
UNION ALL
SELECT 'start.cancelled', count(*) FROM recordfirst.start WHERE app = %(app)s AND state = 'cancelled'
UNION ALL
SELECT 'start.collected', count(*) FROM recordfirst.start WHERE app = %(app)s AND state = 'collected'
UNION ALL
SELECT 'effect.intended', count(*) FROM recordfirst.receipt
WHERE app = %(app)s AND kind = 'effect' AND state <> 'succeeded' AND state = 'intended'
UNION ALL
SELECT 'effect.unknown', count(*) FROM recordfirst.receipt
WHERE app = %(app)s AND kind = 'effect' AND state <> 'succeeded' AND state = 'unknown'
UNION ALL
SELECT 'effect.pending', count(*) FROM recordfirst.receipt
WHERE app = %(app)s AND kind = 'effect' AND state <> 'succeeded' AND state = 'pending'
UNION ALL
SELECT 'effect.declined', count(*) FROM recordfirst.receipt
WHERE app = %(app)s AND kind = 'effect' AND state <> 'succeeded' AND state = 'declined'
UNION ALL
SELECT 'effect.succeeded', count(*) FROM recordfirst.receipt
WHERE app = %(app)s AND kind = 'effect' AND state = 'succeeded'
