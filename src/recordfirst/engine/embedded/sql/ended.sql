-- Roots that have settled and are still here, in order; by the index promises_ended, whose condition this repeats.
SELECT id FROM promises WHERE state <> 'pending' AND instr(id, ':') = 0 AND id > ? ORDER BY id LIMIT ?
