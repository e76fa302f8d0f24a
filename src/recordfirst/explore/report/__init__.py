"""What an exploration has found, told: as text, as a page, as JUnit XML. Pure."""
