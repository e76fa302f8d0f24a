-- The engine has it.
UPDATE recordfirst_mark SET confirmed = true
WHERE app = :app AND engine = :engine AND number = :number AND token = :token
