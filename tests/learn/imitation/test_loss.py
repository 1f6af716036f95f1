"""What a driver that imitates makes small, in cases worked out by hand."""

import pytest
import small_specs
import torch

from drive_rl.errors import DriveRLError
from drive_rl.learn.imitation.loss import imitation_loss
from drive_rl.sim.task.outcome import STATE_FIELDS

SPEED = 2 + STATE_FIELDS.index("speed_mps")
MOVING, STANDING = 0.5, 0.1  # scaled: 5 and 1 m/s


def test_the_states_loss_is_weighed() -> None:
    spec = small_specs.dagger("state_loss=0.5", "loss=l1")
    predicted, targets = torch.zeros(4, 25), torch.ones(4, 25)
    targets[:, 2:] = 3
    assert float(imitation_loss(spec, 2, predicted, targets)) == pytest.approx(1 + 0.5 * 3)


@pytest.mark.parametrize(("loss", "expected"), [("l1", (8 + 1) / 2), ("l2", (64 + 1) / 2)])
def test_an_error_of_the_steering_counts_as_a_larger_one(loss: str, expected: float) -> None:
    spec = small_specs.dagger("steering_scale=8", f"loss={loss}")
    assert float(imitation_loss(spec, 2, torch.zeros(4, 2), torch.ones(4, 2))) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("speed", "pedal", "expected"),
    [
        (MOVING, 1.0, 2 * 0.3),  # the teacher drives on, the learner is too careful
        (MOVING, -1.0, 2 * 0.7),
        (STANDING, 1.0, 1.0),
        (STANDING, -1.0, 1.0),
    ],
)
def test_an_error_of_the_pedal_counts_by_its_quantile_while_the_car_moves(
    speed: float, pedal: float, expected: float
) -> None:
    spec = small_specs.dagger("pedal_quantile=0.3", "loss=l1", "state_loss=1")
    predicted, targets = torch.zeros(4, 25), torch.zeros(4, 25)
    targets[:, 0], targets[:, 1] = 0.5, pedal
    predicted[:, SPEED] = targets[:, SPEED] = speed
    assert float(imitation_loss(spec, 2, predicted, targets)) == pytest.approx((0.5 + expected) / 2)


def test_what_a_careful_driver_learns_is_the_quantile() -> None:
    spec = small_specs.dagger("pedal_quantile=0.25", "loss=l1", "state_loss=1")
    targets = torch.zeros(1000, 25)
    targets[:, 1], targets[:, SPEED] = torch.linspace(-1, 1, 1000), MOVING
    predicted = torch.zeros(25, requires_grad=True)
    optimizer = torch.optim.SGD([predicted], lr=0.2)
    for _ in range(300):
        optimizer.zero_grad()
        imitation_loss(spec, 2, predicted.expand(1000, 25), targets).backward()
        optimizer.step()
    assert float(predicted.detach()[1]) == pytest.approx(-0.5, abs=0.02)


@pytest.mark.parametrize("change", ["state_loss=0", "loss=l2"])
def test_a_quantile_without_what_it_needs_is_refused(change: str) -> None:
    with pytest.raises(DriveRLError, match=r"pedal_quantile = 0\.3: needs loss = l1, .* and a state_loss .*; fix: "):
        small_specs.dagger("pedal_quantile=0.3", "loss=l1", "state_loss=1", change)
