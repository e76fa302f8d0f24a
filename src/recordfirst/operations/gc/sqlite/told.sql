-- What the audit row of a run says: whether a batch whose COMMIT was not answered has committed.
SELECT detail FROM recordfirst_audit WHERE app = :app AND number = :number AND command = 'gc'
