"""A map of streets in a few lines of text."""

import numpy as np

from drive_rl.sim.map.network import Control, StreetMap


def summary(streets: StreetMap) -> str:
    """Return how much of what a map holds, and what its source holds that the map does not."""
    network = streets.network
    counts = {
        "junctions": len(network.first_corner) - 1,
        "signal groups": network.signal_junction.size,
        "lanes with a stop sign": int((network.control == Control.STOP_SIGN).sum()),
        "lanes that give way": int((network.control == Control.GIVE_WAY).sum()),
        "zebra crossings": len(network.crossing_corners),
        "parking bays": network.bay_lane.size,
    }
    limits = np.unique(np.round(network.speed_limit_mps * 3.6)).astype(int).tolist()
    held = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    size = f"{network.length_m.size} lanes, {network.length_m.sum() / 1000:.1f} km"
    lines = [
        f"{streets.name}: {'; '.join(filter(None, (size, held)))}",
        f"speed limits: {', '.join(map(str, limits))} km/h",
    ]
    if streets.unsupported:
        lines.append("not supported: " + ", ".join(f"{count} {what}" for what, count in streets.unsupported.items()))
    return "\n".join(lines)
