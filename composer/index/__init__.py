"""What is known of composer's own names without importing PyTorch: two files of JSON, which
`python -m composer.index.make` writes from the registry and the zoo, and a test compares with them."""
