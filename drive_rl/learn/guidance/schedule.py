"""How guidance changes over the budget: the learning rate, and how many episodes show the true state.

It knows the recipe's numbers. It does not know networks or environments.
"""

from stable_baselines3.common.utils import LinearSchedule

from drive_rl.config.specs.driver import GuidanceSpec


def learning_rate(spec: GuidanceSpec, remaining: float) -> float:
    """Return the step size when a part `remaining` of the budget is left; below 0 it stays at its end."""
    return LinearSchedule(spec.learning_rate, spec.learning_rate_end, 1.0)(remaining)


def truth_share(spec: GuidanceSpec, remaining: float) -> float:
    """Return the share of episodes that show the true state when a part `remaining` of the budget is left.

    It falls from 1 to 0 within `truth_fraction` of the budget (scheduled sampling, Bengio et al. 2015, arXiv
    1506.03099).
    """
    return LinearSchedule(1.0, 0.0, spec.truth_fraction)(remaining) if spec.truth_fraction else 0.0


def minibatches(spec: GuidanceSpec, pictures: int) -> float:
    """Return how many minibatches so many new pictures call for."""
    return pictures * spec.passes / spec.batch_size
