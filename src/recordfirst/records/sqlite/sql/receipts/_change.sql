-- What any change of a receipt sets; one clock for all its times.
revision = revision + 1,
state = :state,
calls = :calls,
doubts = :doubts,
replayed = :replayed,
reissue = :reissue,
claim = :claim,
claim_until_ms = CASE
    WHEN :claim IS NULL THEN NULL
    WHEN :claim_for_ms IS NULL THEN claim_until_ms
    ELSE clock.now_ms + :claim_for_ms
END,
key_since_ms = CASE WHEN :restart_key_age THEN clock.now_ms ELSE key_since_ms END,
next_at_ms = CASE WHEN :state = 'pending' AND :wait_ms IS NULL THEN next_at_ms ELSE clock.now_ms + :wait_ms END,
pending_since_ms = CASE :state
    WHEN 'pending' THEN coalesce(pending_since_ms, clock.now_ms) WHEN 'intended' THEN NULL ELSE pending_since_ms
END,
until_at_ms = :until_at_ms,
settled_at_ms = CASE WHEN :state IN ('declined', 'succeeded') THEN coalesce(settled_at_ms, clock.now_ms) END,
result = :result,
reply = :reply,
error = :error,
parked_on = :parked_on,
undone_by = :undone_by
