"""How the training on samples changes over the budget."""

import pytest

from drive_rl.config.specs.learner import GuidanceSpec
from drive_rl.learn.samples.schedule import helped_share, learning_rate, minibatches


def test_help_fades_within_its_part_of_the_budget() -> None:
    shares = [helped_share(0.5, remaining) for remaining in (1.0, 0.75, 0.5, 0.1, -0.1)]
    assert shares == pytest.approx([1, 0.5, 0, 0, 0])
    assert helped_share(0, 1.0) == 0


def test_the_step_size_falls_linearly() -> None:
    spec = GuidanceSpec(learning_rate=1e-3, learning_rate_end=1e-4)
    rates = [learning_rate(spec, remaining) for remaining in (1.0, 0.5, 0.0, -0.2)]
    assert rates == pytest.approx([1e-3, 5.5e-4, 1e-4, 1e-4])


def test_pictures_call_for_minibatches() -> None:
    assert minibatches(GuidanceSpec(passes=3, batch_size=16), 8) == 1.5
