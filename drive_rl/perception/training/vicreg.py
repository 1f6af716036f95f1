"""VICReg: an encoder learns from pictures without labels (Bardes, Ponce and LeCun 2022, arXiv 2105.04906).

The features of two views of a picture must agree (invariance), those of different pictures must differ (variance), and
no two features may carry the same information (covariance). It knows encoders and pictures; it knows no labels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drive_rl.perception.data.augment import augmented, make_augmentation
from drive_rl.perception.data.samples import Samples
from drive_rl.perception.heads.head import Predictions
from drive_rl.perception.models.perception_model import PerceptionModel

_WIDTH = 512
_INVARIANCE, _VARIANCE, _COVARIANCE = 25.0, 25.0, 1.0
"""The paper's weights."""


class VicReg:
    """The loss of two views, through an expander that is thrown away afterwards (an `Objective`)."""

    def __init__(self, model: PerceptionModel) -> None:
        features = model.spec.encoder.features
        layers: list[nn.Module] = []
        for width in (features, _WIDTH):
            layers += [nn.Linear(width, _WIDTH), nn.BatchNorm1d(_WIDTH), nn.ReLU()]
        self.extra: nn.Module = nn.Sequential(*layers, nn.Linear(_WIDTH, _WIDTH))
        self._augmentation = make_augmentation()

    def losses(
        self, model: PerceptionModel, images: Tensor, samples: Samples, training: bool
    ) -> tuple[dict[str, Tensor], Predictions]:
        """Return the three terms, weighted; no head learns, and so there are no predictions."""
        self.extra.train(training)
        views = [self.extra(model.encoder(augmented(self._augmentation, images))) for _ in range(2)]
        invariance = F.mse_loss(views[0], views[1])
        variance = torch.stack([_variance(view) for view in views]).mean()
        covariance = torch.stack([_covariance(view) for view in views]).sum()
        terms = {"invariance": _INVARIANCE * invariance, "variance": _VARIANCE * variance}
        return terms | {"covariance": _COVARIANCE * covariance}, {}


def _variance(view: Tensor) -> Tensor:
    """Return how far the deviations stay below 1, (B, D) -> scalar."""
    return F.relu(1 - (view.var(dim=0) + 1e-4).sqrt()).mean()


def _covariance(view: Tensor) -> Tensor:
    """Return the sum of squared covariances between dimensions over D, (B, D) -> scalar."""
    centred = view - view.mean(dim=0)
    covariance = centred.T @ centred / (len(view) - 1)
    return (covariance**2).sum().sub((covariance.diagonal() ** 2).sum()) / view.shape[1]
