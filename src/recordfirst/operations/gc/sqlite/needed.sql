-- Why a workflow is still needed, whatever its effects are. Open findings are few, and found by their index.
WITH given AS (SELECT json_extract(value, '$.workflow') AS workflow FROM json_each(:rows))
SELECT given.workflow, receipt.state FROM given
JOIN recordfirst_receipt AS receipt ON receipt.workflow = given.workflow AND receipt.app = :app
WHERE receipt.state IN ('unknown', 'pending')
UNION ALL
SELECT given.workflow, 'in doubt' FROM given
JOIN recordfirst_receipt AS receipt ON receipt.workflow = given.workflow AND receipt.app = :app
WHERE receipt.state = 'intended' AND (receipt.doubts > 0 OR receipt.reply IS NOT NULL)
UNION ALL
SELECT given.workflow, 'open finding' FROM given
JOIN recordfirst_finding AS finding ON finding.app = :app AND finding.closed_at_ms IS NULL
  AND (finding.workflow = given.workflow OR finding.subject = given.workflow)
UNION ALL
SELECT given.workflow, 'reversal' FROM given
JOIN recordfirst_receipt AS receipt ON receipt.workflow = given.workflow AND receipt.app = :app
JOIN recordfirst_reversal AS reversal ON reversal.key = receipt.key AND reversal.app = receipt.app
  AND reversal.attempt = receipt.attempt AND reversal.next_at_ms IS NOT NULL
UNION ALL
SELECT start.id, 'in an engine' FROM given
JOIN recordfirst_start AS start ON start.app = :app AND start.id = given.workflow AND start.left_in IS NOT NULL
