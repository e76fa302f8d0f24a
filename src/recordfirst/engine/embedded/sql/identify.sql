-- Who this file is, and in which form.
SELECT identity, version FROM meta
