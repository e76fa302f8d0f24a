-- A finding's columns in the order of the fields of Finding.
code, subject, workflow, detail, number, opened_at_ms, seen_at_ms, times, closed_at_ms, closed_because
