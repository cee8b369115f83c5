"""From text to a validated, frozen Spec. No file here imports torch or networkx."""
