-- Marks are counted in generations, and what the product says of its own history is an id of that. May be run again
-- without harm: what has its name already keeps it.
DO $$ BEGIN
    IF EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'recordfirst.mark'::regclass AND attname = 'space' AND NOT attisdropped
    ) THEN
        ALTER TABLE recordfirst.mark RENAME COLUMN space TO generation;
    END IF;
    IF EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'recordfirst.timeline'::regclass AND attname = 'witness' AND NOT attisdropped
    ) THEN
        ALTER TABLE recordfirst.timeline RENAME COLUMN witness TO history_id;
    END IF;
END $$;
