"""What operators ask for: each changes the record first, with its audit row, and may be asked for again."""
