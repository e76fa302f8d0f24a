-- At the end of a whole round: what it has not seen is not there any more.
UPDATE recordfirst.finding AS finding
SET closed_at = clock_timestamp(), closed_because = 'not seen any more'
FROM unnest(%(code)s::text[], %(round)s::text[]) AS passed (code, round)
WHERE finding.app = %(app)s AND finding.closed_at IS NULL AND finding.code = passed.code AND finding.round <> passed.round
