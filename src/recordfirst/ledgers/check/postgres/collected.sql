-- Until when workflows ended whose receipts are collected. By start_by_state.
SELECT floor(extract(epoch FROM max(finished_at)) * 1000)::bigint FROM recordfirst.start
WHERE app = %(app)s AND state = 'collected'
