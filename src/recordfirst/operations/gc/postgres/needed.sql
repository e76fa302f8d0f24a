-- Why a workflow is still needed, whatever its effects are. Open findings are few, and found by finding_open.
SELECT given.workflow, receipt.state FROM unnest(%(workflow)s::text[]) AS given (workflow)
JOIN recordfirst.receipt ON receipt.workflow = given.workflow AND receipt.app = %(app)s
  AND receipt.state IN ('unknown', 'pending')
UNION ALL
SELECT given.workflow, 'in doubt' FROM unnest(%(workflow)s::text[]) AS given (workflow)
JOIN recordfirst.receipt ON receipt.workflow = given.workflow AND receipt.app = %(app)s
WHERE receipt.state = 'intended' AND (receipt.doubts > 0 OR receipt.reply IS NOT NULL)
UNION ALL
SELECT given.workflow, 'open finding' FROM unnest(%(workflow)s::text[]) AS given (workflow)
JOIN recordfirst.finding ON finding.app = %(app)s AND finding.closed_at IS NULL
  AND (finding.workflow = given.workflow OR finding.subject = given.workflow)
UNION ALL
SELECT given.workflow, 'reversal' FROM unnest(%(workflow)s::text[]) AS given (workflow)
JOIN recordfirst.receipt ON receipt.workflow = given.workflow AND receipt.app = %(app)s
JOIN recordfirst.reversal ON reversal.key = receipt.key AND reversal.app = receipt.app
  AND reversal.attempt = receipt.attempt AND reversal.next_at IS NOT NULL
UNION ALL
SELECT start.id, 'in an engine' FROM recordfirst.start
WHERE app = %(app)s AND id = ANY(%(workflow)s::text[]) AND left_in IS NOT NULL
