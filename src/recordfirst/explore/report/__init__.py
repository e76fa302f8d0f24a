"""Reports of an exploration: as text, as a page, as JUnit XML. Pure."""
