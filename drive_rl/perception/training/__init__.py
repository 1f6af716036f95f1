"""Training perception models: objectives, the loop, checkpoints."""
