-- At the end of a whole round: what it has no longer seen is not there.
UPDATE recordfirst.finding AS finding
SET closed_at = clock_timestamp(), closed_because = 'no longer seen'
FROM unnest(%(code)s::text[], %(round)s::text[]) AS passed (code, round)
WHERE finding.app = %(app)s AND finding.closed_at IS NULL AND finding.code = passed.code AND finding.round <> passed.round
