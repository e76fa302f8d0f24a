-- A new epoch for open starts, which no engine has yet; one that has moved on, or was closed, stays as it is.
-- By the primary key, whatever Postgres knows of the table: `IS TRUE` keeps the index by state out of it, which would lead
-- through all that is open.
UPDATE recordfirst.start AS start
SET epoch = start.epoch + 1, engine = NULL
FROM unnest(%(id)s::text[], %(epoch)s::integer[]) AS given (id, epoch)
WHERE start.app = %(app)s AND start.id = ANY(%(id)s::text[])
  AND start.id = given.id AND start.epoch = given.epoch AND (start.state = 'open') IS TRUE
RETURNING start.id
