"""Keys that have a new name: the old one is refused, and the error names the new one."""

_RENAMED = {
    "agent.eyes": "perception_model",
    "agent.encoder.start": "init_from",
    "model.start": "init_from",
    "fit.frames": "samples",
    "fit.val_frames": "val_samples",
    "fit.polish_frames": "head_finetune_samples",
}
"""Key as written in an experiment or perception recipe -> its last part now."""


def renamed(full: str, shown: str) -> str | None:
    """Return the error for an old key, with the fix; None for any other key.

    Args:
        full: The key from the top of an experiment or perception recipe: `agent.eyes`.
        shown: The key as it stands in the user's file or on the command line: `eyes` in a driver's recipe.
    """
    if full not in _RENAMED:
        return None
    above = shown.rpartition(".")[0]
    new = ".".join(filter(None, (above, _RENAMED[full])))
    return f"`{shown}` is now `{new}`; fix: rename it"
