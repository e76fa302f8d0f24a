-- Roots that have settled, at the cost of what there is of them: most are deleted at once, when the record has the end.
CREATE INDEX IF NOT EXISTS promises_ended ON promises (id) WHERE state <> 'pending' AND instr(id, ':') = 0;
