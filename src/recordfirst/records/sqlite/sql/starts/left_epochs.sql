-- Epochs that are over, and that this engine may still hold. Read from the partial index recordfirst_start_left alone.
SELECT id, min_epoch FROM recordfirst_start
WHERE app = :app AND left_in IN (:engine, '') AND left_in IS NOT NULL
LIMIT :limit
