"""Every setting, its default, its unit and its range. ``config/edge.toml`` is written from this package.

Sections are frozen pydantic models; an unknown key is refused. ``edge.core.settings.loader`` reads them from TOML, the
environment and credentials.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from edge.core.settings.base import Section
from edge.core.settings.messaging import (
    CommandSettings,
    FrigateSettings,
    HomeAssistantSettings,
    HubSettings,
    MqttSettings,
    NotifySettings,
    OutboxSettings,
)
from edge.core.settings.services import (
    ApiSettings,
    EncryptionSettings,
    HistorySettings,
    LogSettings,
    PageSettings,
    ReviewSettings,
    StrangerSettings,
    SyncSettings,
)
from edge.core.settings.vision import (
    FACE,
    CameraSettings,
    CollectionSettings,
    DeviceSettings,
    LabelSettings,
    ModelSettings,
    RecognitionSettings,
    SheddingSettings,
    TrackingSettings,
)


class Settings(Section):
    """All settings. See ``config/edge.toml``."""

    state: Path | None = Field(
        None,
        examples=["/var/lib/edge"],
        description="Folder of all state; $STATE_DIRECTORY or the XDG state folder when not set.",
    )
    device: DeviceSettings = DeviceSettings()
    models: ModelSettings = ModelSettings()
    cameras: tuple[CameraSettings, ...] = Field(
        (CameraSettings(),),
        examples=[({"name": "door", "source": "rtsp://user:password@192.0.2.10/stream", "fps": 2.0},)],
        description="The cameras; one with source 'auto' when not set.",
    )
    labels: dict[str, LabelSettings] = Field(
        {"face": FACE},
        examples=[{"person": {"score": 0.5, "min_size": 0.2}}],
        description="The labels that matter, by name, faces among them. A label without embedder is only detected.",
    )
    tracking: TrackingSettings = TrackingSettings()
    recognition: RecognitionSettings = RecognitionSettings()
    shedding: SheddingSettings = SheddingSettings()
    collection: CollectionSettings = CollectionSettings()
    mqtt: MqttSettings = MqttSettings()
    outbox: OutboxSettings = OutboxSettings()
    commands: CommandSettings = CommandSettings()
    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
    frigate: FrigateSettings = FrigateSettings()
    notify: NotifySettings = NotifySettings()
    hub: HubSettings = HubSettings()
    sync: SyncSettings = SyncSettings()
    api: ApiSettings = ApiSettings()
    page: PageSettings = PageSettings()
    review: ReviewSettings = ReviewSettings()
    history: HistorySettings = HistorySettings()
    encryption: EncryptionSettings = EncryptionSettings()
    strangers: StrangerSettings = StrangerSettings()
    log: LogSettings = LogSettings()

    @field_validator("labels", mode="before")
    @classmethod
    def _faces_stay_recognized(cls, labels: object) -> object:
        """Another label does not disable faces, and a [labels.face] with a threshold alone keeps its other defaults."""
        if not isinstance(labels, dict):
            return labels
        face = labels.get("face", FACE)
        if isinstance(face, dict):
            face = {"embedder": FACE.embedder, "collection": FACE.collection, **face}
        return {**labels, "face": face}

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        names = [camera.name for camera in self.cameras]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two cameras are named {sorted(twice)[0]!r}")
        for camera in self.cameras:
            unknown = [label for label in camera.labels if label not in self.labels]
            if unknown:
                raise ValueError(f"camera {camera.name!r} wants label {unknown[0]!r}, which has no [labels] section")
        zones = {zone for camera in self.cameras for zone in camera.zones}
        for what, wanted, known in (("camera", self.notify.cameras, names), ("zone", self.notify.zones, zones)):
            missing = [name for name in wanted if name not in known]
            if missing:
                raise ValueError(f"[notify] wants {what} {missing[0]!r}, which [[cameras]] does not have")
        return self

    def labels_of(self, camera: CameraSettings) -> dict[str, LabelSettings]:
        """The labels that matter to a camera."""
        return {name: self.labels[name] for name in camera.labels} if camera.labels else dict(self.labels)
