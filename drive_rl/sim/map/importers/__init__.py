"""Maps of others as road networks."""
