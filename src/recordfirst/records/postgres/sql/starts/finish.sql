-- A record that was restored under this process has not its mark, and may not have what the epoch has done.
-- The ends of many epochs. Fenced by the epoch: what an earlier epoch reports late changes nothing.
-- By the primary key, whatever Postgres knows of the table: `IS TRUE` keeps the index by state out of it, which would lead
-- through all that is open.
UPDATE recordfirst.start AS start
SET state = ended.state, result = ended.result::json, error = ended.error::json, finished_at = clock_timestamp()
FROM unnest(%(id)s::text[], %(epoch)s::integer[], %(state)s::text[], %(result)s::text[], %(error)s::text[])
    AS ended (id, epoch, state, result, error)
WHERE start.app = %(app)s AND start.id = ANY(%(id)s::text[])
  AND start.id = ended.id AND start.epoch = ended.epoch AND (start.state = 'open') IS TRUE
  AND (%(mark_engine)s::text IS NULL OR EXISTS (
      SELECT FROM recordfirst.mark
      WHERE app = %(app)s AND engine = %(mark_engine)s::text
        AND (generation, number) >= (%(mark_generation)s::integer, %(mark_number)s::bigint)
  ))
RETURNING start.id
