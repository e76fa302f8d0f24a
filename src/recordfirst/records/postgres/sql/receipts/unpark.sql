-- What an epoch that is over was parked on is waited for by nobody. Not so what another workflow, that shares the key, waits on.
UPDATE recordfirst.receipt SET parked_on = NULL, revision = revision + 1
WHERE app = %(app)s AND workflow = %(workflow)s AND parked_on IS NOT NULL
  AND substr(parked_on, 1, length(%(engine_id)s::text) + 1) IN (%(engine_id)s::text || ':', %(engine_id)s::text || '~')
