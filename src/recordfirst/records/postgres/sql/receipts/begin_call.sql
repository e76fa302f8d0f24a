-- Compare and set, as change_receipt.sql, with a call begun. While effects are held, none is; nor of an epoch that is over
-- (see add_receipt.sql), nor before the receipt `after` is there (P1), nor where the record was restored under this process, and has not its mark (see intend.sql).
WITH epoch AS MATERIALIZED (
    SELECT min_epoch, state FROM recordfirst.start
    WHERE app = %(app)s AND id = %(workflow)s AND %(epoch)s::integer IS NOT NULL FOR KEY SHARE
)
UPDATE recordfirst.receipt
SET {change}, last_call_at = clock.now
FROM (SELECT clock_timestamp() AS now) AS clock
WHERE app = %(app)s AND key = %(key)s AND attempt = %(attempt)s AND revision = %(revision)s
  AND NOT EXISTS (SELECT FROM recordfirst.timeline WHERE app = %(app)s AND held IS NOT NULL)
  AND (%(after)s::text IS NULL OR EXISTS (
      SELECT FROM recordfirst.receipt AS done
      WHERE done.app = %(app)s AND done.key = %(after)s AND done.state = 'succeeded'
        AND done.kind = %(after_kind)s AND done.function = %(after_function)s
  ))
  AND NOT EXISTS (SELECT FROM epoch WHERE min_epoch > %(epoch)s OR state <> 'open')
  AND (%(mark_engine)s::text IS NULL OR EXISTS (
      SELECT FROM recordfirst.mark
      WHERE app = %(app)s AND engine = %(mark_engine)s::text
        AND (generation, number) >= (%(mark_generation)s::integer, %(mark_number)s::bigint)
  ))
RETURNING {receipt}
