-- An audit row's columns in the order of the fields of Audit; times as milliseconds.
number, floor(extract(epoch FROM at) * 1000)::bigint, who, command, subject, why, detail
