"""Gates with a number per position, or per element from its surroundings."""
