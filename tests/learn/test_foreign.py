"""Zips of stable-baselines3 open only with trust."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from tiny_models import build, weights

from drive_rl.errors import DriveRLError
from drive_rl.learn.foreign import load_foreign


def test_a_zip_needs_trust(tmp_path: Path) -> None:
    for algorithm in ("PPO", "DQN"):
        model, path = build(algorithm), tmp_path / f"{algorithm}.zip"
        model.save(path)
        with pytest.raises(DriveRLError, match=r"can run any code .* add --trust"):
            load_foreign(path, trust=False)
        loaded = load_foreign(path, trust=True)
        assert type(loaded) is type(model)
        for name, value in weights(model).items():
            np.testing.assert_array_equal(weights(loaded)[name], value)


@pytest.mark.parametrize("kind", ["absent", "text", "other zip", "other algorithm", "broken"])
def test_what_is_no_such_zip_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    if kind == "text":
        path.write_text("hello")
    elif kind != "absent":
        with zipfile.ZipFile(path, "w") as archive:
            name, data = {
                "other zip": ("a.txt", "x"),
                "other algorithm": ("data", '{"ent_coef": 1}'),
                "broken": ("data", '{"n_epochs": 4}'),
            }[kind]
            archive.writestr(name, data)
    with pytest.raises(DriveRLError, match=r"model\.zip: (file not found|not a stable|neither|does not load)"):
        load_foreign(path, trust=True)
