"""Releases on the page: draft, dry run, signature from elsewhere, rollout in steps, stop and return."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edge.api.http import bodies
from edge.api.web.access import said, visitor_of
from edge.api.web.responses import in_thread, with_document
from edge.core.errors import ConflictError, DeliveryError, EdgeError, InputError, NotFoundError
from edge.core.settings.messaging import MqttSettings
from edge.hub.command_client import hint
from edge.hub.page.changes import ChangeLog
from edge.hub.page.fleet_cache import FleetCache
from edge.hub.page.fleet_people import with_repository
from edge.hub.publishing import offline_signing
from edge.hub.publishing import rollout as rollouts
from edge.hub.publishing.publisher import PublishedRelease, ReleasePublisher
from edge.hub.publishing.rollout import RolloutPolicy, RolloutWish, Word
from edge.releases.expiry import expiring
from edge.releases.manifest import Deployment, Release, facts

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

log = logging.getLogger(__name__)

MAX_SIGNED = 4 << 20
"""bytes of a signed file"""
HINT_SECONDS = 3.0
BY_ITSELF = "rollout"
"""who advances a rollout between two visits, in the record of changes"""


class FleetReleases:
    """``desk`` opens the publisher and raises NotFoundError where there is no repository; use it under ``lock``."""

    def __init__(
        self, desk: Callable[[], ReleasePublisher], cache: FleetCache, mqtt: MqttSettings, changes: ChangeLog,
        lock: threading.Lock,
    ) -> None:  # fmt: skip
        self._desk, self._cache, self._mqtt, self._changes, self._lock = desk, cache, mqtt, changes, lock
        self._policy = RolloutPolicy()

    async def listed(self, request: Request) -> Response:  # noqa: ARG002
        """``GET /page/releases``: draft, published releases, deployments with what the devices say, changes."""
        return await in_thread(lambda: with_repository(self._listed))

    async def planned(self, request: Request) -> Response:  # noqa: ARG002
        """``POST /page/releases/dry-run``: what devices would download for the draft."""
        return await in_thread(self._planned)

    async def requested(self, request: Request) -> Response:
        """``POST /page/releases/to-sign``: make the file to sign; ``GET /page/releases/to-sign.json`` has it."""
        who = visitor_of(request)
        return await in_thread(lambda: self._requested(who))

    async def to_sign(self, request: Request) -> Response:  # noqa: ARG002
        """``GET /page/releases/to-sign.json``: the file to sign, as a download."""
        from starlette.responses import Response

        try:
            request_of = await asyncio.to_thread(self._waiting)
        except EdgeError as error:
            return said(404, error.message, error.hint)
        name = f'attachment; filename="edge-{request_of.release}.json"'
        return Response(request_of.to_sign, media_type="application/json", headers={"Content-Disposition": name})

    async def signed(self, request: Request) -> Response:
        """``POST /page/releases/signed``: the signed file; the release is published with it."""
        who = visitor_of(request)
        try:
            data = await bodies.body(request, MAX_SIGNED, "signed file")
        except InputError as error:
            return said(400, error.message, error.hint)
        return await in_thread(lambda: self._signed(data, who))

    async def acted(self, request: Request) -> Response:
        """``POST /page/rollouts/ACTION``: ``{"group", ...}``; actions are those of ``ACTIONS``."""
        action, who = request.path_params["action"], visitor_of(request)
        return await with_document(request, lambda document: self._acted(action, document, who))

    def deployments(self) -> list[Deployment]:
        """The published deployments; empty where there is no repository."""
        with self._lock:
            try:
                return self._desk().deployments()
            except EdgeError:
                return []

    def advance(self) -> None:
        """Take every rollout that is under way to its next step, or stop it. Raises EdgeError."""
        for one in self.deployments():
            if one.hold:
                continue
            with self._lock:
                desk = self._desk()
                now = desk.deployment(one.group)
                words = self._words(one.group)
                if now is None or now.hold:
                    continue
                then, verdict = rollouts.advanced(now, words, self._policy)
                if then == now:
                    continue
                then = desk.deploy(then)
            self._changes.note(
                BY_ITSELF, f"rollout: {verdict.action}", f"{then.group} {now.release} {then.percent:g} %"
            )
            self._hint(list(words), then)

    def _listed(self) -> dict[str, Any]:
        with self._lock:
            desk = self._desk()
            draft, releases = desk.draft().release, desk.releases()
            waiting = offline_signing.pending(desk.private)
            found = [self._rollout(one) for one in desk.deployments()]
            keys_here = desk.repository.keys.has("targets")
            soon = [{"text": one.text(), "try": one.remedy} for one in expiring(desk.repository.expiries())]
            faces = _faces(desk)
        groups = sorted({one.group for one in self._cache.devices()} | {one["group"] for one in found} | {"all"})
        return {
            "draft": {
                **facts(draft),
                "taxonomy": draft.taxonomy is not None,
                "collections": {name: faces.get(name, 0) for name in draft.labels.values()},
            },
            "waiting": waiting.release if waiting else "",
            "keys_here": keys_here,
            "releases": [dict(facts(one)) for one in reversed(releases)],
            "rollouts": found,
            "groups": groups,
            "expiring": soon,
            "changes": self._changes.latest(),
        }

    def _rollout(self, one: Deployment) -> dict[str, Any]:
        words = self._words(one.group)
        verdict = rollouts.judge(one, words, self._policy)
        return {**asdict(one), "devices": len(words), "verdict": asdict(verdict)}

    def _words(self, group: str) -> dict[str, Word]:
        return {
            one.device: Word(one.release, one.phase, one.desired, one.problem)
            for one in self._cache.devices()
            if one.group == group and one.phase
        }

    def _planned(self) -> dict[str, Any]:
        with self._lock:
            return _plan(self._desk().publish(dry=True))

    def _requested(self, who: str) -> dict[str, Any]:
        with self._lock:
            request = self._desk().request_signature()
        self._changes.note(who, "release: to sign", request.release)
        return {"ok": True, "release": request.release}

    def _waiting(self) -> offline_signing.SigningRequest:
        with self._lock:
            request = offline_signing.pending(self._desk().private)
        if request is None:
            raise NotFoundError("no release waits for a signature", "make a file to sign first")
        return request

    def _signed(self, data: bytes, who: str) -> dict[str, Any]:
        with self._lock:
            release: Release = self._desk().take_signature(data)
        self._changes.note(who, "release: published", release.id)
        return {"ok": True, "release": release.id}

    def _acted(self, action: str, document: dict[str, Any], who: str) -> dict[str, Any]:
        if action not in ACTIONS:
            raise NotFoundError(f"there is no action {action[:40]!r}", f"one of {', '.join(ACTIONS)}")
        group = document.get("group")
        if not isinstance(group, str) or not group:
            raise InputError("group: expected the name of a group", "use the page")
        with self._lock:
            desk = self._desk()
            now = desk.deployment(group)
            words = self._words(group)
            then = desk.deploy(ACTIONS[action](self, desk, now, group, document))
        self._changes.note(who, f"rollout: {action}", f"{group} {then.release} {then.percent:g} %")
        return {"ok": True, "hinted": self._hint(list(words), then), **self._rollout(then)}

    def _begin(
        self, desk: ReleasePublisher, now: Deployment | None, group: str, document: dict[str, Any]
    ) -> Deployment:
        release, percent = document.get("release"), document.get("percent")
        if not isinstance(release, str) or not isinstance(percent, int | float) or not 0 <= percent <= 100:
            raise InputError("release, percent: expected a release and 0 to 100", "use the page")
        desk.release(release)
        return rollouts.changed(now, RolloutWish(group, release, float(percent)), list(self._words(group)))

    def _next(self, _: ReleasePublisher, now: Deployment | None, group: str, __: dict[str, Any]) -> Deployment:
        then, verdict = rollouts.advanced(_deployed(now, group), self._words(group), self._policy)
        if then == now:
            raise ConflictError(
                f"{verdict.committed} of {verdict.chosen} chosen devices run the release: it is not time for more",
                "wait for them, or choose a larger share yourself",
            )
        return then

    def _stop(self, _: ReleasePublisher, now: Deployment | None, group: str, __: dict[str, Any]) -> Deployment:
        return rollouts.stopped(_deployed(now, group))

    def _hold(self, _: ReleasePublisher, now: Deployment | None, group: str, __: dict[str, Any]) -> Deployment:
        return rollouts.changed(_deployed(now, group), RolloutWish(group, hold=True), ())

    def _resume(self, _: ReleasePublisher, now: Deployment | None, group: str, __: dict[str, Any]) -> Deployment:
        return rollouts.changed(_deployed(now, group), RolloutWish(group, hold=False), ())

    def _hint(self, devices: list[str], deployment: Deployment) -> bool:
        """Tell the devices to look now; False: they find out at their next check."""
        if not self._mqtt.host:
            return False
        try:
            hint(self._mqtt, devices, {"release": deployment.release, "number": deployment.number}, HINT_SECONDS)
        except DeliveryError as error:
            log.warning("page: no hint of the rollout: %s", error)
            return False
        return True


ACTIONS: dict[str, Callable[[FleetReleases, ReleasePublisher, Deployment | None, str, dict[str, Any]], Deployment]] = {
    "begin": FleetReleases._begin,
    "next": FleetReleases._next,
    "stop": FleetReleases._stop,
    "hold": FleetReleases._hold,
    "resume": FleetReleases._resume,
}
"""what can be done with a rollout"""


def _deployed(now: Deployment | None, group: str) -> Deployment:
    if now is None:
        raise NotFoundError(f"nothing is deployed to {group[:64]!r}", "begin a rollout")
    return now


def _faces(desk: ReleasePublisher) -> dict[str, int]:
    with desk.collections() as collections:
        return {name: collections.get(name).count for name in collections.names()}


def _plan(done: PublishedRelease) -> dict[str, Any]:
    return {**facts(done.release), "fetched": done.fetched, "new_files": len(done.new_blobs)}
