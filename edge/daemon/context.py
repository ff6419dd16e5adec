"""Parts that every daemon has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge import __version__
from edge.core.settings.schema import Settings
from edge.core.system import hardware
from edge.daemon.component import Component
from edge.daemon.engine import Engine
from edge.daemon.reporter import Reporter
from edge.daemon.watchdog import Watchdog
from edge.inference.interpreter import choose
from edge.mqtt.client import MqttClient
from edge.mqtt.delivery import Delivery
from edge.mqtt.messages import Info, Stats, to_json
from edge.mqtt.outbox.outbox import Outbox
from edge.mqtt.topics import Topics
from edge.pipeline.health import Health
from edge.pipeline.loader import LoadedModels
from edge.recognition.store.collections import Collections
from edge.releases.manager import ReleaseManager

if TYPE_CHECKING:
    from edge.daemon.shared_review import SharedReview


@dataclass(slots=True)
class DeviceContext:
    """The parts of one run, in the order of their start."""

    settings: Settings
    state: Path
    health: Health
    outbox: Outbox
    topics: Topics
    client: MqttClient
    delivery: Delivery
    collections: Collections
    release_manager: ReleaseManager
    effective_settings: Settings
    """the settings under the release in use, for components that are not switched later"""
    reporter: Reporter
    engine: Engine
    watchdog: Watchdog
    reload: Callable[[], None]
    """asks for a reload of the settings; any thread"""
    restart: Callable[[], None]
    """asks for a restart of the process; any thread"""
    components: list[Component] = field(default_factory=list)
    release: str = ""
    loaded: LoadedModels | None = None
    """models and collections in use"""
    review: SharedReview | None = None
    """review questions for the hub; None: they are not shared"""

    def stats(self) -> Stats:
        """The document of ``up/stats``."""
        found = self.health.stats(asdict(self.outbox.stats()), asdict(self.delivery.stats()))
        return replace(found, review=self.review.counts()) if self.review else found

    def publish_stats(self) -> None:
        self.client.publish(self.topics.stats, to_json(self.stats()), qos=0)

    def switch(self, loaded: LoadedModels) -> None:
        """Use another model set from each camera's next frame on."""
        self.health.use_models(loaded.model_set, loaded.problems)
        self.engine.switch(loaded.model_set)
        self.announce(loaded)

    def announce(self, loaded: LoadedModels) -> None:
        """Publish the device's information with the model set in use."""
        self.release, self.loaded = loaded.model_set.release, loaded
        self.client.retain(self.topics.info, to_json(self._info(loaded)))

    def _info(self, loaded: LoadedModels) -> Info:
        return Info(
            device=self.settings.device.name,
            version=__version__,
            session=self.outbox.session,
            release=loaded.model_set.release,
            hardware=hardware.model(),
            runtime=choose(self.settings.models.runtime),
            cameras=tuple(self.health.cameras),
            labels=tuple(self.settings.labels),
            collections=tuple(self.collections.names()),
            custom_labels=tuple(sorted({one.version for one in loaded.model_set.classifiers.values()})),
            models=dict(loaded.models),
            acknowledge=self.settings.mqtt.acknowledge,
        )
