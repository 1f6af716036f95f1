"""What a check raises, and the small world that checks run in."""

SMALL = ("road.length_m=60", "task.time_limit_s=4", "camera.width_px=48", "camera.height_px=32")


class ContractError(AssertionError):
    """An extension does not keep its contract."""


def expect(kept: bool, what: str, expected: str) -> None:
    """Raise ContractError unless a contract is kept.

    Raises:
        ContractError: it is not.
    """
    if not kept:
        raise ContractError(f"{what}: expected {expected}")
