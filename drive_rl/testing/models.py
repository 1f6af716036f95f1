"""The contract of a plugin's perception model."""

import numpy as np

from drive_rl.testing.contract import expect


def check_perception_model(name: str) -> None:
    """Check a perception model: its outputs are what it states, reproducible, and of each picture alone.

    Raises:
        ContractError: it does not keep its contract.
        DriveRLError: it cannot be made, or its outputs are not what it states.
    """
    import torch

    from drive_rl.perception.adapter.load import load_model

    what, model = f"perception_model {name}", load_model(name).model
    pictures = torch.as_tensor(np.random.default_rng(0).integers(0, 256, (4, *model.shape), np.uint8))
    with torch.inference_mode():
        found, again = model(pictures), model(pictures)
        apart = [model(picture[None]) for picture in pictures]
    for output, value in found.items():
        same = torch.equal(torch.nan_to_num(value), torch.nan_to_num(again[output]))
        expect(same, what, f"the same {output} of the same pictures")
        each = torch.cat([one[output] for one in apart])
        alone = torch.allclose(value, each, rtol=1e-3, atol=1e-3, equal_nan=True)
        expect(alone, what, f"{output} that does not depend on the rest of the batch")
