"""Trains networks: recipes, data, runs that can be resumed."""
