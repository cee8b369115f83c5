"""From text to a validated, frozen Spec. Nothing here imports torch or networkx."""
