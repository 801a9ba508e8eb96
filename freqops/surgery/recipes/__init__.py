"""What becomes of each site."""
