"""From an edited graph to edits of the live module: swapped classes, opened forwards, and what undoes them."""
