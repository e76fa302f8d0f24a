-- What a life that is over was parked on is waited for by nobody.
UPDATE recordfirst_receipt SET parked_on = NULL, revision = revision + 1
WHERE app = :app AND workflow = :workflow AND parked_on IS NOT NULL
