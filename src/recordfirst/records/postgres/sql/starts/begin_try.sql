-- A body is about to be begun again: counted before it runs, so that a process which dies under it has said so.
UPDATE recordfirst.start SET tries = tries + 1
WHERE app = %(app)s AND id = %(id)s AND epoch = %(epoch)s AND tries < %(below)s
  AND (state = 'open') IS TRUE AND stopped_at IS NULL
RETURNING tries
