-- How old the youngest key is under which each effect of a workflow may have been called.
SELECT given.workflow, receipt.function,
       min(floor(extract(epoch FROM clock_timestamp() - receipt.key_since) * 1000))::bigint
FROM unnest(%(workflow)s::text[]) AS given (workflow)
JOIN recordfirst.receipt ON receipt.workflow = given.workflow AND receipt.app = %(app)s
WHERE receipt.kind = 'effect' AND receipt.calls > 0 AND receipt.key_since IS NOT NULL
GROUP BY given.workflow, receipt.function
