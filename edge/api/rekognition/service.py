"""Shared state of the operations: settings, collections, models, work queues, tags and stream processors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.api.http.signature_log import SignatureLog
from edge.api.http.work_queue import WorkQueue
from edge.api.rekognition.images import data_of, picture
from edge.api.rekognition.notifications import TopicPublisher
from edge.api.rekognition.search import FaceSearch
from edge.api.rekognition.state_store import ApiState
from edge.api.rekognition.taxonomy import Taxonomy
from edge.api.rekognition.vision import Vision
from edge.core.settings.schema import Settings
from edge.core.storage.buckets import Buckets
from edge.core.storage.layout import SIGNATURES, StateLayout
from edge.inference.pool import ModelPool

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from edge.api.rekognition.streams.output import Publish
    from edge.core.types import Picture
    from edge.recognition.store.collections import Collections

STORE_THREADS = 2
NICENESS = 10
"""niceness added to the thread that runs models, so that cameras have priority"""


class Service:
    """Everything behind the endpoint. ``share``: fraction 0..1 of one core that its models may use.

    ``collections`` is passed by a daemon that already has them open. ``publish`` receives the records of stream
    processors, which start only where the daemon is ``feeding`` them frames. ``pages`` are additional routes.
    """

    def __init__(
        self,
        settings: Settings,
        state: Path,
        share: float = 1.0,
        collections: Collections | None = None,
        publish: Publish | None = None,
        feeding: bool = False,
        pages: Sequence[BaseRoute] = (),
    ) -> None:
        from edge.api.rekognition.custom.projects import Projects
        from edge.api.rekognition.custom.training import Training
        from edge.api.rekognition.operations.own_labels import OwnLabels
        from edge.api.rekognition.streams.processors import StreamProcessors
        from edge.api.rekognition.streams.sessions import StreamContext
        from edge.api.rekognition.videos.jobs import VideoJobs, VideoTools
        from edge.recognition.review.rejections import RejectionIndex
        from edge.recognition.store.collections import Collections

        self.settings, self.state = settings, state
        self.pages = pages
        self.buckets = Buckets(settings.api.buckets)
        self.models = ModelPool(settings.models, state, threads=1)
        self.vision = Vision(settings, self.models)
        self.taxonomy = Taxonomy(settings.api.taxonomy)
        self.store = ApiState(state)
        self.signatures = SignatureLog(StateLayout(state).path(SIGNATURES)) if settings.api.keys else None
        self.topics = TopicPublisher()
        self.projects = Projects(state)
        self.training = Training(settings, state, self.projects, self.buckets)
        self._own_collections = collections is None
        self.collections = collections or Collections(state, settings.collection)
        self.queues = {
            "models": WorkQueue("models", settings.api.queue, share=share, niceness=NICENESS),
            "store": WorkQueue("store", 8 * settings.api.queue, threads=STORE_THREADS),
            "patient": WorkQueue("patient", settings.api.queue, threads=STORE_THREADS),
        }
        self.rejections = RejectionIndex(state)
        self.faces = FaceSearch(settings, self.collections, self.vision, self.rejections)
        self.own_labels = OwnLabels(settings, self.projects, self.training)
        stream = StreamContext(settings, state, self.store, self.vision, self.faces, self.buckets, self.topics)
        self.processors = StreamProcessors(stream, self.queues["models"], publish, feeding)
        tools = VideoTools(
            settings, Vision(settings, ModelPool(settings.models, state, threads=1), closely=False), self.faces,
            self.own_labels, self.taxonomy,
        )  # fmt: skip
        self.videos = VideoJobs(tools, state, self.topics, publish)

    def start(self) -> None:
        for queue in self.queues.values():
            queue.start()
        self.projects.interrupted()
        self.videos.resume()
        self.processors.resume()

    def stop(self) -> None:
        self.processors.close()
        self.videos.close()
        self.topics.close()
        for queue in self.queues.values():
            queue.stop()
        self.store.close()
        if self.signatures is not None:
            self.signatures.close()
        self.projects.close()
        self.rejections.close()
        if self._own_collections:
            self.collections.close()

    def health(self) -> dict[str, Any]:
        """The document of /healthz."""
        queues = {
            name: {"waiting": queue.waiting, "done": queue.done, "refused": queue.refused}
            for name, queue in self.queues.items()
        }
        return {"status": "ok", "lanes": queues}

    def image(self, image: dict[str, Any]) -> tuple[bytes, Picture]:
        """The file's bytes and its upright picture. Raises ApiError or InputError."""
        data = data_of(image, self.buckets)
        return data, picture(data)
