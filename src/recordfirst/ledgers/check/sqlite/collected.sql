-- Until when workflows ended whose receipts are collected. By start_by_state.
SELECT max(finished_at_ms) FROM recordfirst_start WHERE app = :app AND state = 'collected'
