"""What the package has no words for: units and meaning of each metric, state field, reward term and end."""

STATE = {
    "offset_m": ("m", "distance from the line of the route, the lane's centre line, positive to the left"),
    "heading_error_rad": ("rad", "yaw minus the lane's heading, positive when the car points left of it"),
    "speed_mps": ("m/s", "forward speed"),
    "lateral_speed_mps": ("m/s", "sideways speed, positive to the left"),
    "yaw_rate_radps": ("rad/s", "turning rate, positive to the left"),
    "steer_rad": ("rad", "angle of the front wheels, positive to the left"),
    "target_speed_mps": ("m/s", "speed asked for here"),
    "curvature_0m": ("1/m", "curvature of the lane at the car, positive in a left bend"),
    "curvature_5m": ("1/m", "the same 5 m ahead"),
    "curvature_10m": ("1/m", "the same 10 m ahead"),
    "curvature_20m": ("1/m", "the same 20 m ahead"),
}
PASSING = {
    "free_speed_mps": ("m/s", "speed that would be asked for here without the obstacle"),
    "obstacle_m": ("m", "from the car's front to what is next to be passed; 200: nothing; negative: beside it"),
    "obstacle_end_m": ("m", "from the car's rear to the end of the last that has to be passed with it"),
    "obstacle_left_m": ("m", "how far these reach to the left of the lane's centre line"),
    "obstacle_speed_mps": ("m/s", "how fast they are"),
    "lane_left_m": ("m", "from the lane's centre line to its left edge, or to an invading car that comes near"),
    "beside_left_m": ("m", "the same to the left edge of the lane on the left"),
    "beside_direction": ("", "1: that goes the same way, -1: it is oncoming, 0: there is none"),
    "beside_ahead_m": ("m", "gap to the next one ahead in that; 200: nobody"),
    "beside_ahead_mps": ("m/s", "its speed along the route, negative where it comes towards the car"),
    "beside_behind_m": ("m", "gap to the next one behind in that; 200: nobody"),
    "beside_behind_mps": ("m/s", "its speed along the route"),
}
METRIC = {
    "offset_m": STATE["offset_m"],
    "heading_error_rad": STATE["heading_error_rad"],
    "speed_mps": STATE["speed_mps"],
    "target_speed_mps": STATE["target_speed_mps"],
    "route_completion": ("", "part of the route driven, in [0, 1]"),
    "lateral_accel_mps2": ("m/s^2", "speed times turning rate, positive to the left"),
    "longitudinal_accel_mps2": ("m/s^2", "change of speed over the step"),
    "steer_rad": STATE["steer_rad"],
    "s_m": ("m", "position along the reference line"),
    "x_m": ("m", "position of the centre of gravity, east"),
    "y_m": ("m", "position of the centre of gravity, north"),
    "yaw_rad": ("rad", "heading, counter-clockwise from east"),
    "time_s": ("s", "time since the start"),
    "lane_offset_m": ("m", "the same as `offset_m`; near a change of lanes from the nearer lane, 0 between the two"),
}
TERM = {
    "lane": "1 on the lane's centre line, falling with the square of the offset to 0 at the lane's edge",
    "speed": "(speed / speed asked for)^1.25 up to it, exp(-4 e) at an excess e relative to it, or to 3 m/s",
    "heading": "1 along the lane, 0 at 0.6 rad from it",
    "comfort": "1 without side force, 0 at 6 m/s^2",
    "steering": "1 where the steering stays, 1/e where a step moves it by 0.1 of its range to one side",
}
END = {
    "arrived": ("`terminated`", "the car's centre passes the end of the route"),
    "off_road": ("`terminated`", "the car's centre crosses the right edge line, or the left one of a one-way road"),
    "wrong_way": (
        "`terminated`",
        "the car's centre crosses into the oncoming lanes, or the car points more than 90 degrees away",
    ),
    "collision": ("`terminated`", "the car touches another one"),
    "timeout": ("`truncated`", "the clock: {limit:g} s, {steps} steps"),
    "blocked": ("`terminated`", "the car drives less than 1 m/s on average over {blocked}"),
}
STREET_END = {
    "off_road": ("`terminated`", "the car's centre is 2.5 m to the right of its route"),
    "wrong_way": (
        "`terminated`",
        "the car's centre is 2.5 m to the left of its route, or the car points more than 90 degrees away",
    ),
    "blocked": (
        "`terminated`",
        "the car drives less than 1 m/s on average over {blocked} in which it never had to wait",
    ),
}
