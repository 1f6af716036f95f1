"""How well a perception model does: accuracy, latency, robustness, saliency."""
