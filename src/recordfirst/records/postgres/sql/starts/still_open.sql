-- Of many workflows that somebody waits for, those that are open: asked again and again, so nothing else is read.
-- By the primary key, whatever Postgres knows of the table: `IS TRUE` keeps the index by state out of it, which would lead
-- through all that is open.
SELECT id FROM recordfirst.start
WHERE app = %(app)s AND id = ANY(%(id)s::text[]) AND (state = 'open') IS TRUE
