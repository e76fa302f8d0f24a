-- What any change of a receipt sets; one clock for all its times.
revision = revision + 1,
state = %(state)s,
calls = %(calls)s,
doubts = %(doubts)s,
replayed = %(replayed)s,
reissue = %(reissue)s,
claim = %(claim)s,
claim_until = CASE
    WHEN %(claim)s::text IS NULL THEN NULL
    WHEN %(claim_for_ms)s::bigint IS NULL THEN claim_until
    ELSE clock.now + %(claim_for_ms)s::bigint * interval '1 millisecond'
END,
key_since = CASE WHEN %(restart_key_age)s THEN clock.now ELSE key_since END,
next_at = CASE
    WHEN %(state)s = 'pending' AND %(wait_ms)s::bigint IS NULL THEN next_at
    ELSE clock.now + %(wait_ms)s::bigint * interval '1 millisecond'
END,
pending_since = CASE %(state)s WHEN 'pending' THEN coalesce(pending_since, clock.now) WHEN 'intended' THEN NULL ELSE pending_since END,
until_at = to_timestamp(%(until_at_ms)s::bigint / 1000.0),
settled_at = CASE WHEN %(state)s IN ('declined', 'succeeded') THEN coalesce(settled_at, clock.now) END,
result = %(result)s,
reply = %(reply)s,
error = %(error)s,
parked_on = %(parked_on)s,
undone_by = %(undone_by)s
