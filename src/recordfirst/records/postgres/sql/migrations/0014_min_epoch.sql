-- The first epoch of a workflow whose steps count has the name that is used everywhere else. May be run again without
-- harm: what an earlier step has made anew is taken away again.
ALTER TABLE recordfirst.start ADD COLUMN IF NOT EXISTS min_epoch integer;
UPDATE recordfirst.start SET min_epoch = lives_from WHERE lives_from IS NOT NULL AND min_epoch IS NULL;
ALTER TABLE recordfirst.start DROP COLUMN IF EXISTS lives_from;
