-- The engine no longer holds them. What was ended anew since then stays.
UPDATE recordfirst.start AS start SET left_in = NULL
FROM unnest(%(id)s::text[], %(min_epoch)s::integer[]) AS gone (id, min_epoch)
WHERE start.app = %(app)s AND start.id = ANY(%(id)s::text[]) AND start.id = gone.id
  AND start.min_epoch = gone.min_epoch
