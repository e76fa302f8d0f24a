-- One that was closed or opened anew in the meantime is not this engine's business any more.
UPDATE recordfirst.start AS start
SET engine = given.engine
FROM unnest(%(id)s::text[], %(epoch)s::integer[], %(engine)s::text[]) AS given (id, epoch, engine)
WHERE start.app = %(app)s AND start.id = given.id AND start.epoch = given.epoch AND start.state = 'open'
