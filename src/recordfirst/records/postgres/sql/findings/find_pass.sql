-- How far a pass has come, and when it came to its end.
SELECT round, position, floor(extract(epoch FROM finished_at) * 1000)::bigint FROM recordfirst.pass
WHERE app = %(app)s AND name = %(name)s
