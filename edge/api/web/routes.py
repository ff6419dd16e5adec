"""Routes of the page, and the JSON documents that they return."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge import __version__
from edge.api.web import assets
from edge.api.web import prometheus as metrics
from edge.api.web.access import AccessControl, said
from edge.api.web.camera_routes import CameraRoutes
from edge.api.web.device_routes import DeviceRoutes
from edge.api.web.enrollment_routes import EnrollmentRoutes
from edge.api.web.event_stream import EventStream
from edge.api.web.history_routes import HistoryRoutes
from edge.api.web.live import LiveView
from edge.api.web.people_routes import PeopleRoutes
from edge.api.web.review_routes import ReviewRoutes
from edge.api.web.settings_routes import SettingsRoutes
from edge.core.errors import NotFoundError, StoreError
from edge.core.settings.schema import Settings
from edge.core.system import hardware as board
from edge.core.system import page_address
from edge.mqtt.link_state import HINTS, LinkHealth
from edge.pipeline.event_policy import CameraPresence
from edge.pipeline.health import Health

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from edge.api.http.work_queue import WorkQueue
    from edge.core.types import Frame
    from edge.inference.pool import ModelPool
    from edge.mqtt.messages import Stats
    from edge.recognition.store.collections import Collections

SCRIPTS = (
    "page.js", "answers.js", "boxes.js", "common.js", "kept.js", "live.js", "names.js", "people.js", "question.js",
    "review.js", "rows.js", "words.js", "history.js", "subjects.js", "device.js", "settings.js", "changes.js",
    "fields.js", "shapes.js", "cameras.js", "thresholds.js", "dialogs.js", "focus.js", "shell.js", "subject_list.js",
)  # fmt: skip
LANGUAGES = ("en", "de", "ja", "settings.de", "settings.ja")
ASSETS = {
    "": ("index.html", "text/html"),
    "page.css": ("page.css", "text/css"),
    "manifest.webmanifest": ("manifest.webmanifest", "application/manifest+json"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"lang/{name}.json": (f"lang/{name}.json", "application/json") for name in LANGUAGES},
    **{name: (name, "text/javascript") for name in SCRIPTS},
}
"""last part of the path -> (file in edge/data/page, content type)"""
FPS_SHED = 1.0
"""live pictures per second, at most, while the daemon sheds load"""
MOST_SUBJECTS = 500
"""subjects listed per collection"""


class StatusPage:
    """``begin`` connects the daemon's state, ``serve`` the endpoint's work queue. Without them less is shown."""

    def __init__(self, settings: Settings, state: Path, collections: Collections, health: Health) -> None:
        self._settings, self._health, self._collections = settings, health, collections
        self._door = AccessControl(settings.page, settings.device.name)
        self.live = LiveView(settings.page.width)
        self.feed = EventStream()
        self._history = HistoryRoutes(settings, state)
        self._enrollment = EnrollmentRoutes(settings, state, collections, self._history)
        self._questions = ReviewRoutes(settings, state, collections, self._history)
        self._people = PeopleRoutes(settings, state, collections, self._history)
        self._device = DeviceRoutes(settings, self._history)
        self.cameras = CameraRoutes(settings)
        self._setup = SettingsRoutes(settings, state, self._history)
        self._stats: Callable[[], Stats] | None = None
        self._present: Callable[[], Sequence[CameraPresence]] = tuple
        self._latest: Callable[[str], Frame | None] = lambda _: None
        self._release: Callable[[], str] = str
        self._link: Callable[[], LinkHealth] | None = None

    def begin(
        self,
        stats: Callable[[], Stats],
        present: Callable[[], Sequence[CameraPresence]],
        latest: Callable[[str], Frame | None],
        release: Callable[[], str],
        link: Callable[[], LinkHealth] | None = None,
        forget: Callable[[str], object] | None = None,
        restart: Callable[[], None] | None = None,
        reload: Callable[[], None] | None = None,
    ) -> None:
        """Connect the daemon. ``link``: state of the broker connection. ``forget`` erases a subject.

        ``restart`` restarts the daemon, ``reload`` makes it reread the settings.
        """
        self._stats, self._present, self._latest, self._release = stats, present, latest, release
        self._link, self._people.forget, self._device.restart = link, forget, restart
        self._setup.reload = reload
        self._enrollment.latest = self._camera

    def serve(self, queue: WorkQueue, models: ModelPool) -> None:
        """``queue`` runs the models for enrollment, which belong to its thread."""
        self._enrollment.queue, self._enrollment.models = queue, models

    def close(self) -> None:
        """End long-running responses and close all stores, so that the endpoint can stop."""
        self.feed.close()
        self.live.close()
        self._device.close()
        for part in (self._questions, self._people, self._history):
            part.close()

    def erase(self, subject: str) -> None:
        """Remove an erased subject from everything shown: names, pictures, and answers that could be undone."""
        self.feed.erase(subject)
        self.live.erase()
        for part in (self._questions, self._people, self._history):
            part.close()

    def routes(self) -> list[BaseRoute]:
        from starlette.routing import Route

        door, enrollment, questions = self._door, self._enrollment, self._questions
        history, people, device = self._history, self._people, self._device
        setup, cameras = self._setup, self.cameras
        return [
            *assets.routes(door, ASSETS),
            Route("/page/door", door.open(door.asked), methods=["GET"]),
            Route("/page/login", door.login, methods=["POST"]),
            Route("/page/logout", door.logout, methods=["POST"]),
            Route("/page/state", door.private(self._answer_state), methods=["GET"]),
            Route("/page/events", door.private(self._answer_events), methods=["GET"]),
            Route("/page/collections/{name}", door.private(self._answer_collection), methods=["GET"]),
            Route("/page/collections/{name}/faces", door.changing(enrollment.answer), methods=["POST"]),
            Route("/page/collections/{name}/looks", door.changing(enrollment.look), methods=["POST"]),
            Route("/page/looks/compare", door.changing(enrollment.compare), methods=["POST"]),
            Route("/page/looks/{word}", door.changing(enrollment.enroll), methods=["POST"]),
            Route("/page/review", door.private(questions.listed), methods=["GET"]),
            Route("/page/review/{number:int}/picture.jpg", door.private(questions.picture), methods=["GET"]),
            Route("/page/review/{number:int}/boxes.jpg", door.private(questions.picture_of_boxes), methods=["GET"]),
            Route("/page/review/{number:int}/boxes", door.private(questions.boxes), methods=["GET"]),
            Route("/page/review/{number:int}/boxes", door.changing(questions.corrected, "review"), methods=["POST"]),
            Route("/page/review/{number:int}/split", door.changing(questions.split, "review"), methods=["POST"]),
            Route("/page/portraits/{number:int}.jpg", door.private(questions.portrait), methods=["GET"]),
            Route("/page/review/answers", door.changing(questions.answered, "review"), methods=["POST"]),
            Route("/page/review/undo", door.changing(questions.undone, "review"), methods=["POST"]),
            Route("/page/review/delete", door.changing(questions.deleted), methods=["POST"]),
            Route("/page/history", door.private(history.listed), methods=["GET"]),
            Route("/page/history/timeline", door.private(history.timeline), methods=["GET"]),
            Route("/page/history/changes", door.private(history.changes), methods=["GET"]),
            Route("/page/history/clear", door.changing(history.cleared), methods=["POST"]),
            Route("/page/history/{number:int}", door.private(history.one), methods=["GET"]),
            Route("/page/history/{number:int}/picture.jpg", door.private(history.picture), methods=["GET"]),
            Route("/page/history/{number:int}/delete", door.changing(history.deleted), methods=["POST"]),
            Route("/page/settings", door.private(setup.told, "manage"), methods=["GET"]),
            Route("/page/settings/preview", door.changing(setup.previewed), methods=["POST"]),
            Route("/page/settings/apply", door.changing(setup.applied), methods=["POST"]),
            Route("/page/settings/undo", door.changing(setup.undone), methods=["POST"]),
            Route("/page/settings/thresholds", door.private(setup.thresholds, "manage"), methods=["GET"]),
            Route("/page/cameras/test", door.changing(cameras.tested), methods=["POST"]),
            Route("/page/cameras/search", door.changing(cameras.searched), methods=["POST"]),
            Route("/page/cameras/streams", door.changing(cameras.streams), methods=["POST"]),
            Route("/page/device/log", door.private(device.log, "manage"), methods=["GET"]),
            Route("/page/device/doctor", door.changing(device.doctor), methods=["POST"]),
            Route("/page/device/{action}", door.changing(device.acted), methods=["POST"]),
            Route("/page/people/{collection}", door.private(people.listed), methods=["GET"]),
            Route("/page/people/{collection}/subject", door.private(people.one), methods=["GET"]),
            Route("/page/people/{collection}/risk", door.private(people.risk), methods=["GET"]),
            Route("/page/people/{collection}/{action}", door.changing(people.changed), methods=["POST"]),
            Route("/page/strangers", door.private(people.strangers), methods=["GET"]),
            Route("/page/strangers/{name}", door.changing(people.named, "review"), methods=["POST"]),
            Route("/cameras/{name}/latest.jpg", door.private(self._answer_picture), methods=["GET"]),
            Route("/metrics", door.private(self._answer_metrics), methods=["GET"]),
            Route("/{path:path}", door.open(assets.missing), methods=["GET"]),
        ]

    async def _answer_state(self, request: Request) -> Response:  # noqa: ARG002
        from starlette.responses import JSONResponse

        return JSONResponse(await asyncio.to_thread(self._state))

    async def _answer_events(self, request: Request) -> Response:
        from starlette.responses import StreamingResponse

        if self.feed.full:
            return said(503, "too many browsers listen already", "close one of them")
        last = request.headers.get("last-event-id", "")
        after = int(last) if last.isdecimal() and len(last) < 16 else 0
        return StreamingResponse(self.feed.stream(after), media_type="text/event-stream")

    async def _answer_collection(self, request: Request) -> Response:
        from starlette.responses import JSONResponse

        name = request.path_params["name"]
        try:
            subjects = await asyncio.to_thread(lambda: self._collections.get(name).subjects())
        except NotFoundError as error:
            if name not in self._enrollment.collections():
                return said(404, error.message, error.hint)
            subjects = {}  # it is made with its first face
        like = request.query_params.get("like", "").casefold()
        named = [(name, faces) for name, faces in sorted(subjects.items()) if like in name.casefold()]
        listed = [{"subject": name, "faces": faces} for name, faces in named[:MOST_SUBJECTS]]
        return JSONResponse({"subjects": listed, "total": len(named)})

    async def _answer_picture(self, request: Request) -> Response:
        from starlette.responses import Response

        name, after = request.path_params["name"], request.query_params.get("after", "")
        if name not in self._health.cameras:
            return said(404, f"there is no camera {name[:64]!r}", f"one of {', '.join(self._health.cameras)}")
        shown = await self.live.newer(name, int(after) if after.isdecimal() and len(after) < 16 else -1)
        frame = shown.frame if shown else self._latest(name)
        if frame is None or (shown is None and after == str(frame.sequence)):
            if "after" in request.query_params:
                return Response(status_code=204)  # no error for a polling script
            return said(503, f"camera {name} gives no new picture", self._health.cameras[name].reason)
        story = {"sequence": frame.sequence, "time": frame.time, "tracks": shown.tracks if shown else ()}
        headers = {"X-Frame": json.dumps(story)}
        return Response(await self.live.jpeg(frame), media_type="image/jpeg", headers=headers)

    def _camera(self, name: str) -> Frame | None:
        """The newest frame: the one shown to viewers, else the latest processed frame."""
        shown = self.live.shown(name)
        return shown.frame if shown else self._latest(name)

    async def _answer_metrics(self, request: Request) -> Response:  # noqa: ARG002
        from starlette.responses import Response

        return Response(await asyncio.to_thread(self._metrics), headers={"Content-Type": metrics.TYPE})

    def _metrics(self) -> str:
        stats = self._stats() if self._stats else None
        faces = {name: self._collections.get(name).count for name in self._collections.names()}
        outbox, mqtt = (stats.outbox, stats.mqtt) if stats else ({}, {})
        return metrics.text(metrics.of_daemon(self._health, outbox, mqtt, faces, self._release()))

    def _state(self) -> dict[str, Any]:
        health, now = self._health, time.monotonic()
        stats = self._stats() if self._stats else None
        cameras = {camera.name: camera for camera in self._settings.cameras}
        return {
            "device": self._settings.device.name,
            "version": __version__,
            "address": page_address.shown(self._settings),
            "release": self._release(),
            "hardware": board.model(),
            "time": time.time(),
            "clock": board.clock(),
            "uptime": stats.uptime if stats else 0.0,
            "memory_mb": round(board.memory().resident / 1e6, 1),
            "temperature": board.temperature(health.sys),
            "throttled": board.throttled(health.sys),
            "shed": [health.shed.what, health.shed.why] if health.shed.level else [],
            "problems": dict(health.problems),
            "cameras": [
                {
                    "name": name,
                    "state": one.state,
                    "reason": one.reason,
                    "fps": round(one.fps(now), 1),
                    "zones": cameras[name].zones if name in cameras else {},
                    "masks": cameras[name].masks if name in cameras else {},
                }
                for name, one in health.cameras.items()
            ],
            "fps": min(self._settings.page.fps, FPS_SHED) if health.shed.level else self._settings.page.fps,
            "present": [_document(one) for one in self._present()],
            "outbox": stats.outbox if stats else {},
            "broker": self._broker(),
            "collections": self._listed_collections(),
            "enrollable": self._enrollment.collections(),
            "review": self._questions.summary(),
        }

    def _listed_collections(self) -> list[dict[str, Any]]:
        try:
            return [{"name": name, "faces": self._collections.get(name).count} for name in self._collections.names()]
        except StoreError as error:
            self._health.trouble("collections", error.message)
            return []

    def _broker(self) -> dict[str, Any]:
        """State of the broker connection, with a hint where it is down."""
        if not self._settings.mqtt.host or self._link is None:
            return {"state": "set" if self._settings.mqtt.host else "off", "detail": "", "try": ""}
        link = self._link()
        return {"state": link.link, "detail": link.detail, "try": HINTS.get(link.link, "")}


def _document(presence: CameraPresence) -> dict[str, Any]:
    tracks = [
        {
            "track": one.track,
            "label": one.label,
            "state": one.identity.state,
            "subject": one.identity.subject,
            "pseudonym": one.identity.pseudonym,
            "custom_labels": [label.name for label in one.custom_labels],
            "zones": one.zones,
            "since": one.started,
        }
        for one in presence.tracks
    ]
    return {"camera": presence.camera, "tracks": tracks}
