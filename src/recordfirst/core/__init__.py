"""Pure: what is decided from what is seen. No input or output, no driver, no clock, no chance."""
