"""`counters.json` of a checkpoint: the learner's progress, with the range of every number.

It knows stable-baselines3's counters; it does not know who sets them.
"""

from typing import Annotated

from pydantic import Field

from drive_rl.run.storage.manifest import Count
from drive_rl.run.storage.schema import Table


class EpisodeRecord(Table):
    """The return, length and time of a recent episode."""

    r: float
    l: float = Field(ge=0)  # noqa: E741 - stable-baselines3's name of the length
    t: float = 0.0


class Counters(Table):
    """The counters of every learner."""

    num_timesteps: Count
    total_timesteps: Count = Field(alias="_total_timesteps")
    episode_num: Count = Field(alias="_episode_num")
    n_updates: Count = Field(alias="_n_updates")
    current_progress_remaining: float = Field(alias="_current_progress_remaining", le=1)  # < 0 beyond the budget
    ep_info_buffer: list[EpisodeRecord]
    ep_success_buffer: list[Annotated[float, Field(ge=0, le=1)]]


class ReplayCounters(Counters):
    """The counters of learners with a replay buffer."""

    n_calls: Count = Field(alias="_n_calls")


class ExploringCounters(ReplayCounters):
    """The counters of DQN and QR-DQN."""

    exploration_rate: float = Field(ge=0, le=1)
