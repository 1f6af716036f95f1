"""How the training on samples changes over the budget: the learning rate, and the share of episodes that get help.

It knows a recipe's numbers. It does not know networks or environments.
"""

from typing import Protocol

from stable_baselines3.common.utils import LinearSchedule


class Recipe(Protocol):
    """How a network is trained on samples."""

    @property
    def learning_rate(self) -> float:
        """Adam's step size at first."""
        ...

    @property
    def learning_rate_end(self) -> float:
        """The step size at the end of the budget."""
        ...

    @property
    def batch_size(self) -> int:
        """Pictures in a minibatch."""
        ...

    @property
    def passes(self) -> float:
        """Passes over each picture, on average."""
        ...


def learning_rate(recipe: Recipe, remaining: float) -> float:
    """Return the step size when a part `remaining` of the budget is left; below 0 it stays at its end."""
    return LinearSchedule(recipe.learning_rate, recipe.learning_rate_end, 1.0)(remaining)


def helped_share(fraction: float, remaining: float) -> float:
    """Return the share of episodes that get help when a part `remaining` of the budget is left.

    It falls from 1 to 0 within `fraction` of the budget (scheduled sampling, Bengio et al. 2015, arXiv 1506.03099).
    """
    return LinearSchedule(1.0, 0.0, fraction)(remaining) if fraction else 0.0


def minibatches(recipe: Recipe, pictures: int) -> float:
    """Return how many minibatches so many new pictures call for."""
    return pictures * recipe.passes / recipe.batch_size
