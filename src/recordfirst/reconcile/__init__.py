"""Compare record, engine and providers, and bring them together: the record is never contradicted."""
