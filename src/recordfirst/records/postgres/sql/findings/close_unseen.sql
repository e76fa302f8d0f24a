-- At the end of a whole round: what it has no longer seen is not there. What others saw since it began may have come behind it.
UPDATE recordfirst.finding AS finding
SET closed_at = clock_timestamp(), closed_because = 'no longer seen'
FROM unnest(%(code)s::text[], %(round)s::text[], %(since_ms)s::bigint[]) AS passed (code, round, since_ms)
WHERE finding.app = %(app)s AND finding.closed_at IS NULL AND finding.code = passed.code AND finding.round <> passed.round
  AND (passed.since_ms IS NULL OR finding.seen_at < to_timestamp(passed.since_ms / 1000.0))
