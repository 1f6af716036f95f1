"""The README of a written data set: what it holds, how it was made, and what it is not good for."""

from drive_rl.config.specs.base import Split
from drive_rl.config.specs.world import WorldSpec
from drive_rl.perception.data.samples import LANE_FIELDS
from drive_rl.sim.engines.streets.truth import STREET_CLASSES
from drive_rl.sim.sensors.renderer import CLASSES


def data_card(world: WorldSpec, split: Split, samples: int, roads: int, boxes: int) -> str:
    """Return the card as Markdown."""
    camera = world.camera
    colour = "RGB" if camera.planes == 3 else "grey"
    earlier = (
        f"| `earlier/NNNNNN/KK.png` | the picture KK control steps (of {1 / world.task.control_hz:g} s) before |\n"
        if camera.frame_stack > 1
        else ""
    )
    classes = ", ".join(f"{index} {name}" for index, name in enumerate(CLASSES))
    return f"""# {samples} labelled pictures of the world {world.name}

Rendered by drive-rl: {roads} roads of split `{split}`, {camera.width_px} x {camera.height_px} pixels, {colour}.
They show a simulated road, and no real place or person. `manifest.json` has the whole world, how the poses were
drawn, the seeds of the roads and the SHA-256 of every file; the same drive-rl writes the same bytes again from them.

| file | holds |
|---|---|
| `images/NNNNNN.png` | the picture |
{earlier}| `masks/NNNNNN.png` | the class of each pixel, 8 bits, one channel: {classes} |
| `lanes.json` | painted lines as TuSimple has them: an object a line, `raw_file`, `lanes` (a column for each row, -2: \
none), `h_samples` (the rows); `slots` gives which line it is: 0 the right line of the car's lane, 1 its left line, \
2 and on those left of that |
| `boxes.json` | {boxes} boxes as COCO has them, one for each patch of vehicle pixels |
| `states.csv` | road seed, tier, weather, and {", ".join(LANE_FIELDS)} |

Columns and rows of lanes count from the centre of the top left pixel, as OpenCV's do, and may be fractions; boxes
count from its corner. Lines go through the gaps of dashes and behind vehicles, and are given where they meet two rows
or more; a column less than half a pixel inside the left edge is given as 0. Vehicles that touch in the picture share a
patch, and so a box. Offset [m] is to the left of the lane's middle, heading error [rad] counter-clockwise against the
road, curvature [1/m] positive in left bends, at the car and as many metres ahead as in its name.

Offsets and headings are drawn evenly, not as a driver would have them, and a model fitted to these pictures alone
has seen no real road.
"""


def street_card(world: WorldSpec, split: Split, samples: int, roads: int, objects: int) -> str:
    """Return the card of pictures of streets as Markdown."""
    camera = world.camera
    colour = "RGB" if camera.planes == 3 else "grey"
    classes = ", ".join(f"{index} {name}" for index, name in enumerate(STREET_CLASSES))
    return f"""# {samples} labelled pictures of the world {world.name}

Rendered by drive-rl: {roads} routes of split `{split}`, {camera.width_px} x {camera.height_px} pixels, {colour}.
They show simulated streets, and no real place or person. `manifest.json` has the whole world, how far apart pictures
were taken, the seeds of the routes and the SHA-256 of every file; the same drive-rl writes the same bytes again.

| file | holds |
|---|---|
| `images/NNNNNN.png` | the picture |
| `masks/NNNNNN.png` | the class of each pixel, 8 bits, one channel: {classes} |
| `instances/NNNNNN.png` | the object that each pixel shows, 16 bits: 0 none, else `attributes.instance`; an object \
keeps its number within a route (`seed`) |
| `depth/NNNNNN.png` | the depth along the optical axis, 16 bits, as KITTI has it: metres x 256; 0: the sky, or 256 m \
and more |
| `instances.json` | {objects} objects as COCO has them, each with a visible pixel at least |
| `lines.json` | a JSON object a picture, with the lines painted along lanes within 100 m: `colour`, `dashed`, \
and points `points_px` (column, row) and `ground_m` (forward, left from the ground below the car's centre of gravity) |

Categories of `instances.json` have the numbers of their classes. `bbox`, `area` and `segmentation` (run lengths) are of
what is visible. `attributes` has the box around the whole object in the vehicle frame, `centre_m` (forward, left, up
from the ground below the car's centre of gravity), `size_m` (length, width, height) and `yaw_rad` (counter-clockwise
against the car's), and of a signal its `light`: red, yellow or green. A `static` is a thing of road works.

Each image has its route's `seed`, the time since that began (`time_s`), its `weather` and its `camera`, which the
mount's error changes from route to route. With forward, left and up counted from `position_m`, and p the pitch:

    depth  = forward cos p - up sin p
    column = centre_px[0] - focal_px left / depth
    row    = centre_px[1] - focal_px (forward sin p + up cos p) / depth

Columns and rows count from the corner of the top left pixel. No pixel is `ego_lane`. Lines go
through the gaps of dashes and behind vehicles; one that leaves the picture and comes back is two.

The expert drives: mostly in the middle of its lane, on dry and even ground. A model fitted to these pictures alone has
seen no real street.
"""
