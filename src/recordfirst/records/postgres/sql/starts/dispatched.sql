-- Which engine has them, in which epoch. An epoch only moves on; what was closed in the meantime is no engine's business.
-- By the primary key, whatever Postgres knows of the table: `IS TRUE` keeps the index by state out of it, which would lead
-- through all that is open.
UPDATE recordfirst.start AS start
SET engine = given.engine, epoch = given.epoch
FROM unnest(%(id)s::text[], %(epoch)s::integer[], %(engine)s::text[]) AS given (id, epoch, engine)
WHERE start.app = %(app)s AND start.id = ANY(%(id)s::text[])
  AND start.id = given.id AND start.epoch <= given.epoch AND (start.state = 'open') IS TRUE
