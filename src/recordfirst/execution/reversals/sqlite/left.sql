-- How many nobody has dealt with: to be tried, and not by itself. By recordfirst_reversal_unhandled: costs what there is of these.
SELECT 'reversal.open', count(*) FROM recordfirst_reversal
WHERE app = :app AND handled_by IS NULL AND next_at_ms IS NOT NULL
UNION ALL
SELECT 'reversal.stopped', count(*) FROM recordfirst_reversal
WHERE app = :app AND handled_by IS NULL AND next_at_ms IS NULL
