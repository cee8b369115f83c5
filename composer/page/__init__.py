"""The page of a network: one file, in which containers open in place."""
