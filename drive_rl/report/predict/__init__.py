"""What a perception model predicts of any pictures: an image, a folder, a video or a live camera."""
