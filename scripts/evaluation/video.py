"""Names on moving video: clips of known people and of strangers through the real pipeline, with the default settings.

Models look at each frame of a clip once (``evaluation.recorded``); tracking, scheduling, votes and events are the
product's own, run anew each time.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edge.cli.output import bar
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings, LabelSettings, ModelSettings
from edge.core.types import Event, IdentityState
from edge.pipeline.loader import load_model_set
from edge.pipeline.model_set import ModelSet
from edge.pipeline.pipeline import Pipeline
from edge.recognition.enrollment import ToEnroll, enroll_images
from edge.recognition.extraction import FaceExtractor
from edge.recognition.store.collections import Collections
from evaluation import animated, recorded
from evaluation.animated import Clip

if TYPE_CHECKING:
    from edge.inference.detector import Detector
    from edge.inference.embedder import Embedder
    from edge.recognition.store.collection import Collection

GAP = 3.0
"""seconds of the empty scene between two visits: more than ``tracking.lost_seconds``"""


@dataclass(frozen=True)
class Visit:
    """What became of one clip: of the face that was followed longest."""

    person: str
    named: tuple[str, ...]
    """every subject that any track of the visit was ever named"""
    waited: float | None
    """seconds from the first detection to the first name"""
    final: IdentityState | None
    """None: nobody was followed"""
    retracted: bool


@dataclass(frozen=True)
class VideoFigures:
    """Counts over visits."""

    strangers: Sequence[Visit] = ()
    known: Sequence[Visit] = ()
    minutes: float = 0.0
    tracks: int = 0

    @property
    def strangers_named(self) -> float:
        """Share of the strangers that were ever given a name."""
        return _share([bool(visit.named) for visit in self.strangers])

    @property
    def named_rightly(self) -> float:
        """Share of the known that were given their name and no other."""
        return _share([visit.named == (visit.person,) for visit in self.known])

    @property
    def named_wrongly(self) -> float:
        """Share of the known that were ever given somebody else's name."""
        return _share([any(name != visit.person for name in visit.named) for visit in self.known])

    @property
    def seconds(self) -> float:
        """Median seconds to the name, of the known that were named."""
        waits = [visit.waited for visit in self.known if visit.waited is not None]
        return statistics.median(waits) if waits else float("nan")

    def line(self) -> str:
        """One line for people."""
        finals = [str(visit.final) if visit.final else "not seen" for visit in self.strangers]
        counted = ", ".join(f"{word} {finals.count(word)}" for word in sorted(set(finals)))
        return (
            f"strangers named {self.strangers_named:.4f} of {len(self.strangers)} ({counted}); known named rightly "
            f"{self.named_rightly:.4f} of {len(self.known)}, wrongly {self.named_wrongly:.4f}, "
            f"median {self.seconds:.2f} s"
        )


def measured(
    gallery: Mapping[str, Sequence[Path]],
    known: Sequence[Clip],
    strangers: Sequence[Clip],
    settings: Settings,
    work: Path,
) -> VideoFigures:
    """Enroll ``gallery`` (person -> pictures), then play the clips one after the other, a pause between them."""
    with loaded(gallery, settings) as (model_set, settings):
        stage = Stage(model_set, settings, work)
        with bar("clips", len(known) + len(strangers)) as progress:
            visits = []
            for clip in [*known, *strangers]:
                visits.append(stage.play(clip))
                progress.advance()
        return VideoFigures(visits[len(known) :], visits[: len(known)], stage.now / 60, stage.tracks)


def looped(
    gallery: Mapping[str, Sequence[Path]], strangers: Sequence[Clip], minutes: float, settings: Settings, work: Path
) -> VideoFigures:
    """Strangers who appear repeatedly before two cameras, for ``minutes`` of stored time each."""
    with loaded(gallery, settings) as (model_set, settings):
        stages = [Stage(model_set, settings, work, name, GAP) for name in ("door", "yard")]
        visits = []
        for number in itertools.count():
            for shift, stage in enumerate(stages):
                visits.append(stage.play(strangers[(number + shift * len(strangers) // 2) % len(strangers)]))
            if stages[0].now >= 60 * minutes:
                break
        return VideoFigures(visits, (), sum(stage.now for stage in stages) / 60, sum(stage.tracks for stage in stages))


class Stage:
    """One camera, before which clips are played."""

    def __init__(
        self, model_set: ModelSet, settings: Settings, work: Path, camera: str = "door", gap: float = GAP
    ) -> None:
        self.now, self.tracks = 0.0, 0
        self._work, self._gap, self._camera = work, gap, camera
        recognizer = model_set.recognizers["face"]
        self._detector = cast("Detector", next(iter(model_set.detectors.values())))
        self._embedder = cast("Embedder", recognizer.embedder)
        self._replay = recorded.Replay(self._detector, self._embedder)
        replayed = replace(
            model_set,
            detectors=dict.fromkeys(model_set.detectors, self._replay.detector),
            recognizers={"face": replace(recognizer, embedder=self._replay.embedder)},
        )
        chosen = settings.cameras[0].model_copy(update={"name": camera, "motion": False})
        self._pipeline = Pipeline(chosen, settings, replayed, (f"{camera}-{n}" for n in itertools.count(1)))

    def play(self, clip: Clip) -> Visit:
        """One visit, and the empty scene after it until its tracks have ended."""
        made = recorded.recording(clip, self._detector, self._embedder, self._work)
        events: list[Event] = []
        for frame in self._replay.frames(made, self.now, self._camera, self._gap):
            events += self._pipeline.process(frame).events
        self.now += made.frames / animated.FPS + self._gap
        self.tracks += sum(event.type == "new" for event in events)
        return _visit(clip.person, events)


def _visit(person: str, events: Sequence[Event]) -> Visit:
    named = [event for event in events if event.identity.state is IdentityState.KNOWN and event.identity.subject]
    ends = [event for event in events if event.type == "end"]
    longest = max(ends, key=lambda event: (event.ended or 0.0) - event.started, default=None)
    return Visit(
        person,
        tuple(dict.fromkeys(event.identity.subject or "" for event in named)),
        min((event.time - event.started for event in named if event.type != "end"), default=None),
        longest.identity.state if longest else None,
        any(event.identity.state is IdentityState.RETRACTED for event in events),
    )


@contextmanager
def loaded(gallery: Mapping[str, Sequence[Path]], settings: Settings) -> Iterator[tuple[ModelSet, Settings]]:
    """The product's models and a collection with the people of ``gallery``, in a state folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with Collections(state, settings.collection) as collections:
            model_set = load_model_set(settings, state, collections).model_set
            recognizer = model_set.recognizers["face"]
            detectors = [cast("Detector", one) for one in model_set.detectors.values()]
            embedder = cast("Embedder", recognizer.embedder)
            finder = FaceExtractor("face", detectors, embedder, None, settings.recognition)
            plan = [ToEnroll(path, person) for person, paths in gallery.items() for path in paths]
            for _ in enroll_images(plan, finder, cast("Collection", recognizer.search.collection)):
                pass
            yield model_set, settings


def settings_of(detector: str, embedder: str, models: Sequence[Path] = ()) -> Settings:
    """The default settings with another pair of models."""
    return Settings(
        models=ModelSettings(path=tuple(models), check=False, threads=1),
        cameras=(CameraSettings(name="door", detectors=(detector,), fps=animated.FPS),),
        labels={"face": LabelSettings(embedder=embedder, collection="faces")},
    )


def _share(counted: Sequence[bool]) -> float:
    return sum(counted) / len(counted) if counted else float("nan")
