"""A small OpenDRIVE map of version 1.4, as RoadRunner exports them for CARLA: a crossroads of four dead ends.

Arms lie to the east, north, west and south of (0, 0), each `ARM_M` long from `GAP_M` on, with a lane each way: -1
outwards, 1 inwards. Twelve connecting roads of one lane each (-1) begin and end on the arms' middle lines.
"""

import math

ARM_M, GAP_M, WIDTH_M = 80.0, 12.0, 3.5
STOP_M = 2.0  # of the signs along their arms
_USER = '<userData><vectorLane sOffset="0.0" laneId="{{0}}" travelDir="{}"/></userData>'
_HEADER = (
    '<header revMajor="1" revMinor="4" name="" version="1" date="2019-04-06T10:38:28" vendor="VectorZero">'
    "<geoReference><![CDATA[+lat_0=4.9e+1 +lon_0=8.0e+0]]></geoReference></header>"
)
_VALID = '<validity fromLane="{0}" toLane="{0}"/>'


def _width(a: float) -> str:
    return f'<width sOffset="0.0" a="{a}" b="0.0" c="0.0" d="0.0"/>'


def _mark(kind: str, colour: str = "white", at: float = 0.0) -> str:
    return (
        f'<roadMark sOffset="{at}" type="{kind}" material="standard" color="{colour}" width="0.125" laneChange="none"/>'
    )


def _lane(number: int, kind: str, links: str, width: float, mark: str) -> str:
    return (
        f'<lane id="{number}" type="{kind}" level="false"><link>{links}</link>{_width(width)}{mark}'
        f"{_USER.format('forward' if number < 0 else 'backward')}</lane>"
    )


def _geometry(pose: tuple[float, float, float], length: float, shape: str) -> str:
    x, y, heading = pose
    place = f'x="{x:.16e}" y="{y:.16e}" hdg="{heading:.16e}" length="{length:.16e}"'
    return f'<planView><geometry s="0.0" {place}>{shape}</geometry></planView>'


def _arm(number: int, signals: str, objects: str, high: bool) -> str:
    angle = number * math.pi / 2
    pose = GAP_M * math.cos(angle), GAP_M * math.sin(angle), angle
    rise = '<elevationProfile><elevation s="0.0" a="3.0" b="0.0" c="0.0" d="0.0"/></elevationProfile>' if high else ""
    to_junction = '<predecessor elementType="junction" elementId="99"/>'
    right = _lane(-1, "driving", "", WIDTH_M, _mark("solid")) + _lane(-2, "sidewalk", "", 2.0, _mark("none"))
    left = _lane(2, "sidewalk", "", 2.0, _mark("none")) + _lane(1, "driving", "", WIDTH_M, _mark("solid"))
    middle = _mark("broken", "yellow") + _mark("solid solid", "yellow", 50.0)
    return (
        f'<road name="Road {number}" length="{ARM_M}" id="{number}" junction="-1"><link>{to_junction}</link>'
        f'<type s="0.0" type="town"><speed max="25" unit="mph"/></type>'
        f'{_geometry(pose, ARM_M, "<line/>")}{rise}<lanes><laneSection s="0.0"><left>{left}</left><center>'
        f'<lane id="0" type="none" level="false">{middle}</lane></center><right>{right}</right>'
        f"</laneSection></lanes><objects>{objects}</objects><signals>{signals}</signals></road>"
    )


def _connecting(at: int, into: int, number: int, signals: str) -> str:
    heading = at * math.pi / 2 + math.pi
    turned = (into - at - 2 + 5) % 4 - 1  # -1: right, 0: straight, 1: left
    length, shape = (2 * GAP_M, "<line/>")
    if turned:
        length, shape = GAP_M * math.pi / 2, f'<arc curvature="{turned / GAP_M:.16e}"/>'
    pose = GAP_M * math.cos(heading + math.pi), GAP_M * math.sin(heading + math.pi), heading
    links = [
        f'<{which} elementType="road" elementId="{road}" contactPoint="start"/>'
        for which, road in (("predecessor", at), ("successor", into))
    ]
    lane = _lane(-1, "driving", '<predecessor id="1"/><successor id="-1"/>', WIDTH_M, _mark("none"))
    return (
        f'<road name="" length="{length:.16e}" id="{number}" junction="99"><link>{"".join(links)}</link>'
        f'{_geometry(pose, length, shape)}<lanes><laneSection s="0.0"><center><lane id="0" type="none" level="false">'
        f"{_mark('none')}</lane></center><right>{lane}</right></laneSection></lanes>"
        f"<signals>{signals}</signals></road>"
    )


def signal(kind: str, number: int, s: float, orientation: str, lanes: str = "", dynamic: str = "no") -> str:
    """Return a signal or sign."""
    where = f's="{s}" t="3.8" zOffset="0" hOffset="0" roll="0" pitch="0" orientation="{orientation}"'
    what = f'dynamic="{dynamic}" country="OpenDRIVE" type="{kind}" subtype="-1" value="-1" height="1" width="1"'
    return f'<signal name="" id="{number}" {where} {what}>{lanes}</signal>'


def crosswalk(number: int, s: float) -> str:
    """Return a crosswalk across an arm, 3 m along it."""
    places = ((-1.5, -4), (1.5, -4), (1.5, 4), (-1.5, 4), (-1.5, -4))
    corners = "".join(f'<cornerLocal u="{u}" v="{v}" z="0"/>' for u, v in places)
    where = f's="{s}" t="0" zOffset="0" hdg="0" roll="0" pitch="0" orientation="none" width="3" length="8"'
    outline = f"<outline>{corners}</outline>"
    return f'<object id="{number}" name="SimpleCrosswalk" type="crosswalk" {where}>{outline}</object>'


def crossroads() -> str:
    """Return the map: lights for east and west, a stop sign on the north arm, a give-way sign on the south arm."""
    lights = [signal("1000001", 10 + at, 1.0, "-", _VALID.format(0), "yes") for at in (0, 2)]
    reference = '<signalReference id="{}" s="0.5" t="0" orientation="+">' + _VALID.format(-1) + "</signalReference>"
    tree = '<object id="7" name="Tree" s="20" t="9" zOffset="0" type="tree"/>'
    signals = [
        lights[0],
        signal("206", 11, STOP_M, "-"),
        lights[1],
        signal("205", 13, STOP_M, "-") + signal("274", 14, 40.0, "+"),
    ]
    objects = ["", tree, "", crosswalk(3, 8.0)]
    roads = [_arm(at, signals[at], objects[at], high=at == 1) for at in range(4)]
    connections, number = [], 100
    for at in range(4):
        for into in (each for each in range(4) if each != at):
            roads.append(_connecting(at, into, number, reference.format(10 + at) if at in (0, 2) else ""))
            connections.append(
                f'<connection id="{number}" incomingRoad="{at}" connectingRoad="{number}" contactPoint="start">'
                '<laneLink from="1" to="-1"/></connection>'
            )
            number += 1
    controllers = "".join(
        f'<controller name="ctrl{at}" id="{at}" sequence="0"><control signalId="{10 + at}" type=""/></controller>'
        for at in (0, 2)
    )
    junction = f'<junction id="99" name="junction99">{"".join(connections)}</junction>'
    return "\n".join(["<OpenDRIVE>", _HEADER, *roads, controllers, junction, "</OpenDRIVE>", ""])
