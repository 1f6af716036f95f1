"""Engines: compiled says what eager says, and neither touches the model or torch's threads."""

import numpy as np
import pytest
import torch
from small_nets import SmallNet, pictures

from drive_rl.perception.evaluation.runtimes import compiled, eager, torch_threads


def test_compiled_engine_says_what_eager_says() -> None:
    model, images = SmallNet(), pictures(2)
    wanted, got = eager(model)(images), compiled(model)(images)
    assert list(got) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value, atol=1e-4, rtol=0)


def test_engine_neither_changes_the_model_nor_needs_writable_pictures() -> None:
    model, images = SmallNet().train(), pictures(2)
    images.flags.writeable = False
    first = eager(model)(images)
    assert model.training
    assert model.batch_norm.num_batches_tracked == 0
    np.testing.assert_array_equal(eager(model)(images)["lane"], first["lane"])


def test_threads_are_given_back_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="cannot be multiplied"), torch_threads(before + 1):
        torch.mm(torch.ones(2, 3), torch.ones(2, 3))
    assert torch.get_num_threads() == before
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
