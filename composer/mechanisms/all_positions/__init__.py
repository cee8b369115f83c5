"""What every position of a map learns from all others, added to it."""
