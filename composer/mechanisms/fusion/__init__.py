"""What joins several tensors."""
