-- The audit row of a run, with each further batch.
UPDATE recordfirst_audit SET detail = :detail WHERE app = :app AND number = :number
