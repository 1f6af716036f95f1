"""How guidance changes over the budget."""

import pytest

from drive_rl.config.specs.driver import GuidanceSpec
from drive_rl.learn.guidance.schedule import learning_rate, minibatches, truth_share


def test_the_truth_fades_within_its_part_of_the_budget() -> None:
    spec = GuidanceSpec(truth_fraction=0.5)
    shares = [truth_share(spec, remaining) for remaining in (1.0, 0.75, 0.5, 0.1, -0.1)]
    assert shares == pytest.approx([1, 0.5, 0, 0, 0])
    assert truth_share(GuidanceSpec(truth_fraction=0), 1.0) == 0


def test_the_step_size_falls_linearly() -> None:
    spec = GuidanceSpec(learning_rate=1e-3, learning_rate_end=1e-4)
    rates = [learning_rate(spec, remaining) for remaining in (1.0, 0.5, 0.0, -0.2)]
    assert rates == pytest.approx([1e-3, 5.5e-4, 1e-4, 1e-4])


def test_pictures_call_for_minibatches() -> None:
    assert minibatches(GuidanceSpec(passes=3, batch_size=16), 8) == 1.5
