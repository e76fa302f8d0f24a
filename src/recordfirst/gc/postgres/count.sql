-- What would be dropped.
SELECT count(*) FROM unnest(%(workflow)s::text[]) AS given (workflow)
JOIN recordfirst.receipt ON receipt.workflow = given.workflow AND receipt.app = %(app)s
