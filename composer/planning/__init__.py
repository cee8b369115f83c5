"""What training on many GPUs takes: memory of each, traffic, and how much of the time is left for computing."""
