-- The first epoch of a workflow whose steps count has the name that is used everywhere else.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM information_schema.columns
        WHERE table_schema = 'recordfirst' AND table_name = 'start' AND column_name = 'lives_from'
    ) THEN
        ALTER TABLE recordfirst.start RENAME COLUMN lives_from TO min_epoch;
    END IF;
END $$;
