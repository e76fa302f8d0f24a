-- The ends of many lives. Fenced by the epoch: what an earlier life reports late changes nothing.
UPDATE recordfirst.start AS start
SET state = ended.state, result = ended.result::json, error = ended.error::json, finished_at = clock_timestamp()
FROM unnest(%(id)s::text[], %(epoch)s::integer[], %(state)s::text[], %(result)s::text[], %(error)s::text[])
    AS ended (id, epoch, state, result, error)
WHERE start.app = %(app)s AND start.id = ended.id AND start.epoch = ended.epoch AND start.state = 'open'
RETURNING start.id
