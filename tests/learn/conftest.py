"""Learning tests run side by side: one core each, or their threads wait for one another."""

import os

import torch

os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)
