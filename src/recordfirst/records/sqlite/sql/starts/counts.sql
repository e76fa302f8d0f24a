-- Finished starts and succeeded effects are counted row by row; the others cost what there is of them.
SELECT 'start.open', count(*) FROM recordfirst_start WHERE app = :app AND state = 'open'
UNION ALL
SELECT 'start.stopped', count(*) FROM recordfirst_start WHERE app = :app AND stopped_at_ms IS NOT NULL
UNION ALL
SELECT 'start.succeeded', count(*) FROM recordfirst_start WHERE app = :app AND state = 'succeeded'
UNION ALL
SELECT 'start.failed', count(*) FROM recordfirst_start WHERE app = :app AND state = 'failed'
UNION ALL
SELECT 'start.cancelled', count(*) FROM recordfirst_start WHERE app = :app AND state = 'cancelled'
UNION ALL
SELECT 'start.collected', count(*) FROM recordfirst_start WHERE app = :app AND state = 'collected'
UNION ALL
SELECT 'effect.intended', count(*) FROM recordfirst_receipt
WHERE app = :app AND kind = 'effect' AND state <> 'succeeded' AND state = 'intended'
UNION ALL
SELECT 'effect.unknown', count(*) FROM recordfirst_receipt
WHERE app = :app AND kind = 'effect' AND state <> 'succeeded' AND state = 'unknown'
UNION ALL
SELECT 'effect.pending', count(*) FROM recordfirst_receipt
WHERE app = :app AND kind = 'effect' AND state <> 'succeeded' AND state = 'pending'
UNION ALL
SELECT 'effect.declined', count(*) FROM recordfirst_receipt
WHERE app = :app AND kind = 'effect' AND state <> 'succeeded' AND state = 'declined'
UNION ALL
SELECT 'effect.succeeded', count(*) FROM recordfirst_receipt
WHERE app = :app AND kind = 'effect' AND state = 'succeeded'
