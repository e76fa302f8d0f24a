-- The engine does not hold them any more. What was ended anew since then stays.
UPDATE recordfirst.start AS start SET left_in = NULL
FROM unnest(%(id)s::text[], %(lives_from)s::integer[]) AS gone (id, lives_from)
WHERE start.app = %(app)s AND start.id = ANY(%(id)s::text[]) AND start.id = gone.id
  AND start.lives_from = gone.lives_from
