"""composer's pages beside five other viewers of networks, on the same network and in the same browser."""
