"""Gates over channels and positions."""
