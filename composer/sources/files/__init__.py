"""Files that hold the graph of a network: read as text and shapes, never run and never unpickled."""
