"""The exam: what all models are shown and asked, alike."""
