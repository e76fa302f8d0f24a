-- The first epoch of a workflow whose steps count has the name that is used everywhere else.
ALTER TABLE recordfirst_start RENAME COLUMN lives_from TO min_epoch;
