"""The page of a network: a single HTML file, in which containers open in place."""
