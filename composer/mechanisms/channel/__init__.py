"""Gates with a number per channel."""
