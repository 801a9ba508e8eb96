"""Where a model samples its maps more coarsely."""
