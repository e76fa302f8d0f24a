-- Compare and set, as change_receipt.sql, with a call begun. While effects are held, none is; nor of an epoch that is over,
-- nor before the receipt `after` is there (P1), nor where the record was restored under this process; see intend.sql.
UPDATE recordfirst_receipt
SET {change}, last_call_at_ms = clock.now_ms
FROM recordfirst_clock AS clock
WHERE app = :app AND key = :key AND attempt = :attempt AND revision = :revision
  AND NOT EXISTS (SELECT 1 FROM recordfirst_timeline WHERE app = :app AND held IS NOT NULL)
  AND (:after IS NULL OR EXISTS (
      SELECT 1 FROM recordfirst_receipt AS done
      WHERE done.app = :app AND done.key = :after AND done.state = 'succeeded'
        AND done.kind = :after_kind AND done.function = :after_function
  ))
  AND NOT EXISTS (SELECT 1 FROM recordfirst_start WHERE app = :app AND id = :workflow AND :epoch IS NOT NULL
      AND (min_epoch > :epoch OR state <> 'open'))
  AND (:mark_engine IS NULL OR EXISTS (
      SELECT 1 FROM recordfirst_mark
      WHERE app = :app AND engine = :mark_engine AND (generation, number) >= (:mark_generation, :mark_number)
  ))
RETURNING {receipt}
