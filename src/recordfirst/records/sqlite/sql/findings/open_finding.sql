-- One open finding, by the index finding_open, however many are open.
SELECT {finding} FROM recordfirst_finding
WHERE subject = :subject AND code = :code AND app = :app AND closed_at_ms IS NULL
