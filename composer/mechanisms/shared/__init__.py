"""What several mechanisms use."""
