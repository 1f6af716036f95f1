"""Maps of streets drawn from above."""
