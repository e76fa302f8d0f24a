-- An audit row's columns in the order of the fields of Audit.
number, at_ms, who, command, subject, why, detail
