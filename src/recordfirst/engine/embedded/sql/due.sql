-- What happens by itself, and when: costs by what is due, not by what there is.
SELECT id FROM promises WHERE due_at <= ? ORDER BY due_at LIMIT ?
