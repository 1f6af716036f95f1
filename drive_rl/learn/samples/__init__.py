"""Pictures with targets, kept while a learner drives, and a network that is trained on them."""
