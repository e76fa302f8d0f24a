-- Tasks that wait for a worker, longest first.
SELECT id FROM promises WHERE live AND task = 'pending' ORDER BY due_at LIMIT ?
