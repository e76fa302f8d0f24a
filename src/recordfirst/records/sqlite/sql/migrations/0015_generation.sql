-- Marks are counted in generations, and what the product says of its own history is an id of that.
ALTER TABLE recordfirst_mark RENAME COLUMN space TO generation;
ALTER TABLE recordfirst_timeline RENAME COLUMN witness TO history_id;
