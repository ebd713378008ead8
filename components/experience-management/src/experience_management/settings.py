"""What an operator may set of experience management, beside the settings of every component."""

from __future__ import annotations

from typing import Literal

import httpx
from pydantic import Field, field_validator

from experience_management.domain.communication import channel
from experience_management.domain.kqi import Models
from experience_management.domain.qoe import CODECS
from tmfkit import Settings


class ExperienceSettings(Settings):
    """Names in the environment are the upper-case field names."""

    observation_window_s: float = Field(
        1800.0, gt=0, description="length of the window that kpiSummary of service quality looks at by default"
    )
    reevaluation_s: float = Field(
        60.0, gt=0, description="how often the measurements of an open problem are looked at again"
    )
    score_change_min: float = Field(
        1.0, ge=0, description="points by which a score must change to be published again; a new band always is"
    )
    score_threshold: float = Field(
        50.0, ge=0, le=100, description="scores below it are counted as bad experience in the metrics"
    )
    observation_retention_s: float = Field(90 * 86_400, gt=0, description="observations are kept this long")
    problem_retention_s: float = Field(
        30 * 86_400, gt=0, description="ended problems and whom they hit are remembered this long"
    )
    survey_min_answers: int = Field(10, ge=1, description="fewer answers to a survey give no result")

    communication_channels: dict[str, str] = Field(
        default_factory=dict,
        description="type of message (SMS, Email, ...) -> address of the gateway that its messages are posted to",
    )
    communication_retries: int = Field(3, ge=0, le=100, description="tries after the first, where a message tells none")
    communication_backoff_s: float = Field(10.0, gt=0, description="wait before the second try; doubled for each more")
    communication_max_backoff_s: float = Field(3600.0, gt=0, description="no wait between two tries is longer")

    voice_codec: str = Field("EVS-SWB-24.4", description="codec of the voice service, for its opinion model")
    voice_fixed_delay_ms: float = Field(
        60.0, ge=0, description="mouth-to-ear delay beside the measured one: codec, jitter buffer, core"
    )
    video_stall_length_s: float = Field(3.0, gt=0, description="mean length of one stall of a video")
    web_context: Literal["fast", "medium", "slow"] = Field(
        "medium", description="what users of the web are used to, in the words of ITU-T G.1030"
    )

    @field_validator("voice_codec")
    @classmethod
    def _known(cls, codec: str) -> str:
        if codec not in CODECS:
            raise ValueError(f"known codecs are {', '.join(CODECS)}")
        return codec

    @field_validator("communication_channels")
    @classmethod
    def _channels(cls, given: dict[str, str]) -> dict[str, str]:
        found = {}
        for name, address in given.items():
            try:
                url = httpx.URL(address)
            except httpx.InvalidURL as e:
                raise ValueError(f"{name}: {e}") from e
            if url.scheme not in ("http", "https") or not url.host:
                raise ValueError(f"{name}: a gateway has an http or https address")
            found[channel(name)] = address
        return found

    @property
    def models(self) -> Models:
        return Models(self.voice_codec, self.voice_fixed_delay_ms, self.video_stall_length_s, self.web_context)
