"""Model card, ``card.toml``: all metadata of a ``.tflite``.

Preprocessing, outputs and decoder, labels, license and source, measured accuracy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from edge.core.compat import tomllib
from edge.core.errors import ModelError
from edge.inference.calibration import Calibration

CARD = "card.toml"
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Pixels = Annotated[int, Field(ge=1, le=4096)]
PerChannel = tuple[float, float, float]
Scalar = str | bool | int | float
Kind = Literal["detector", "embedder", "classifier", "attributes", "recognizer"]

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

EXAMPLE = "correct the card; edge models show edge-face-detector-2 prints a complete one"


@dataclass(frozen=True)
class Input:
    """[input]: how a picture becomes the model's input: ``(pixel 0..255 - mean) / std`` for each channel."""

    __pydantic_config__ = STRICT

    width: Pixels
    height: Pixels
    fit: Literal["stretch", "letterbox", "crop"] = "stretch"
    """``stretch``: width and height scaled independently; ``letterbox``: padded with ``pad``; ``crop``: center crop"""
    color: Literal["rgb", "bgr"] = "rgb"
    mean: PerChannel = (0.0, 0.0, 0.0)
    std: PerChannel = (1.0, 1.0, 1.0)
    pad: Annotated[int, Field(ge=0, le=255)] = 114
    """gray value 0..255 of the letterbox padding"""


@dataclass(frozen=True)
class Priors:
    """[[decoder.priors]]: anchors of one feature map, ordered by row, cell and size."""

    __pydantic_config__ = STRICT

    stride: Pixels
    """stride of the cells, pixels of the model input; a map has ceil(side / stride) cells per side"""
    sizes: Annotated[tuple[tuple[float, float], ...], Field(min_length=1)]
    """(width, height) pixels of the anchors of each cell"""


@dataclass(frozen=True)
class Decoder:
    """[decoder]: the decoder of the output tensors, a name in ``edge.core.plugins.DECODERS``."""

    __pydantic_config__ = STRICT

    name: str
    tensors: Annotated[tuple[str, ...], Field(min_length=1)]
    """output tensors in the order that the decoder expects: names, or ``#0`` for the model's first"""
    labels: tuple[str, ...] = ()
    """indexed by class number; a class named ``n/a`` is never reported"""
    labels_file: str = ""
    """alternative to ``labels``: a file beside the card, one label per line"""
    variances: tuple[float, float] = (0.1, 0.2)
    """of prior boxes: centers, sizes"""
    priors: tuple[Priors, ...] = ()
    """of prior boxes"""
    scores: Literal["probability", "logit"] = "probability"
    """what the score tensor holds"""
    options: dict[str, Scalar | tuple[Scalar, ...]] = field(default_factory=dict)
    """further options of the decoder"""
    width: int = 0
    """pixels of the model input, from [input]"""
    height: int = 0


@dataclass(frozen=True)
class Thresholds:
    """[thresholds]: defaults for thresholds that the settings do not set."""

    __pydantic_config__ = STRICT

    score: Fraction = 0.5
    """detectors: lowest score"""
    iou: Fraction = 0.45
    """detectors: IoU threshold of non-maximum suppression within a label"""
    similarity: Annotated[float, Field(ge=0, le=100)] = 80.0
    """embedders: lowest similarity 0..100 that makes a match"""


@dataclass(frozen=True)
class EmbeddingShape:
    """[embedding]: output of an embedder, and how its crops are cut."""

    __pydantic_config__ = STRICT

    dimensions: Annotated[int, Field(ge=2, le=8192)]
    crop: Literal["arcface", "square"] = "square"
    """``arcface``: aligned by five landmarks, a square crop without landmarks; ``square``: always a square crop"""
    margin: Annotated[float, Field(ge=0.0, le=2.0)] = 0.0
    """square crops: margin around the box, fraction of its longer side"""
    mirror: bool = False
    """whether still pictures are also embedded mirrored, and the two embeddings averaged"""


@dataclass(frozen=True)
class AttributeOutputs:
    """[attributes]: outputs of a face attribute model, and how its crops are cut."""

    __pydantic_config__ = STRICT

    tensors: tuple[str, str, str]
    """landmarks (x, y: fraction of the crop minus 0.5), age ((years - 40) / 40), logits of names and emotions"""
    names: Annotated[tuple[str, ...], Field(min_length=1)]
    """Rekognition's attributes of the first logits; Gender is positive for Male, the others for true"""
    emotions: Annotated[tuple[str, ...], Field(min_length=1)]
    """of the other logits"""
    landmarks: Annotated[tuple[str, ...], Field(min_length=1)]
    """Rekognition's types, in the order of the tensor"""
    calibration: tuple[tuple[float, float], ...]
    """by name: (a, b); the reported probability is ``sigmoid(a * logit + b)``"""
    balanced: tuple[Fraction, ...]
    """by name: balanced accuracy on held-out people, the upper limit of the probability"""
    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    """softmax temperature of the emotions: divisor of their logits"""
    age: tuple[float, float] = (8.0, 8.0)
    """half width of AgeRange around the estimate, years"""
    gaze: Fraction = 0.5
    """share of eye directions with an error of at most 10 degrees"""
    room: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """margin on each side of the ArcFace template, fraction of its side"""


@dataclass(frozen=True)
class TextOutputs:
    """[text]: output of a text recognizer, logits (columns, characters + 1), and how its crops are cut."""

    __pydantic_config__ = STRICT

    characters: Annotated[str, Field(min_length=1)]
    """in the order of the logits; the last logit is the blank of CTC"""
    calibration: tuple[float, float] = (1.0, 0.0)
    """(a, b); the reported probability is ``sigmoid(a * logit of the best path's probability + b)``"""
    margin: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """around a word, fraction of its height"""


@dataclass(frozen=True)
class QualityFloors:
    """[quality]: minimum quality 0..1 of a crop by purpose, from measured errors (scripts/evaluate_quality)."""

    __pydantic_config__ = STRICT

    look: Fraction = 0.2
    """for embedding and matching"""
    enroll: Fraction = 0.3
    """for enrollment"""
    measured: str = ""
    """errors by quality, and the command that measures them"""


@dataclass(frozen=True)
class CalibrationPoints:
    """[calibration]: score to likeness 0..100, and how it was fitted."""

    __pydantic_config__ = STRICT

    points: tuple[tuple[float, float], ...]
    """(score, likeness); scores are cosines where the card has no [cohort]"""
    accepted: tuple[tuple[float, float], ...] = ()
    """(likeness, share of comparisons of the same person that reach it)"""
    fitted: str = ""
    """data, method and the error rates that 80 and 99 stand for"""


@dataclass(frozen=True)
class CohortFile:
    """[cohort]: embeddings of people outside any collection, for score normalization."""

    __pydantic_config__ = STRICT

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] = "cohort.npy"
    """beside the card: int8 (people, dimensions)"""
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    """of the file, hex; empty: any file"""
    nearest: Annotated[int, Field(ge=2, le=10_000)] = 100
    """number of highest cosines from which the statistics of a face are computed"""
    usual: tuple[float, float] = (0.0, 1.0)
    """mean and standard deviation of a typical face's highest cosines with the cohort; maps likeness to cosine"""
    made: str = ""
    """source pictures and command"""


@dataclass(frozen=True)
class Card:
    """A model's card.toml."""

    __pydantic_config__ = STRICT

    name: Annotated[str, Field(pattern=NAME)]
    kind: Kind
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    """name of the .tflite, without folders"""
    licence: str
    input: Input
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    """of the file, hex; empty: any file"""
    size: Annotated[int, Field(ge=0)] = 0
    """bytes of the file; 0: not known"""
    about: str = ""
    weak_at: str = ""
    """known limitations"""
    get: str = ""
    """how to get the file if it is missing"""
    decoder: Decoder | None = None
    thresholds: Thresholds = Thresholds()
    embedding: EmbeddingShape | None = None
    attributes: AttributeOutputs | None = None
    text: TextOutputs | None = None
    calibration: CalibrationPoints | None = None
    cohort: CohortFile | None = None
    quality: QualityFloors = QualityFloors()
    provenance: dict[str, Scalar] = field(default_factory=dict)
    """training data, teacher, seed, commit, date"""
    accuracy: dict[str, dict[str, Scalar]] = field(default_factory=dict)
    """by data set: measured values, and the ``command`` that reproduces them"""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that a detector or classifier can report."""
        return self.decoder.labels if self.decoder else ()

    @property
    def map(self) -> Calibration:
        """Score to likeness; a generic calibration if the card has none."""
        if self.calibration is None:
            return Calibration()
        return Calibration(self.calibration.points, self.calibration.accepted or Calibration.accepted)


def read_card(path: Path) -> Card:
    """Read a card. Raises ModelError with file, key and rule."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"card {path}: cannot be read: {error}", "correct the card") from error
    return _labeled(parse_card(table, str(path)), path.parent)


def parse_card(table: Mapping[str, Any], where: str) -> Card:
    """A card from its TOML table; ``where`` names it in errors. Raises ModelError."""
    try:
        card = _ADAPTER.validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        raise ModelError(_explained(error, where), EXAMPLE) from error
    for broken, rule in _rules(card):
        if broken:
            raise ModelError(f"card {where}: {rule}", EXAMPLE)
    if card.decoder:
        sized = replace(card.decoder, width=card.input.width, height=card.input.height)
        card = replace(card, decoder=sized)
    return card


_ADAPTER = TypeAdapter(Card)


def _rules(card: Card) -> Iterator[tuple[bool, str]]:
    """Rules that involve several keys: (broken, message)."""
    decoder = card.decoder
    yield card.kind == "detector" and decoder is None, "decoder: a detector needs [decoder]"
    yield card.kind == "embedder" and card.embedding is None, "embedding: an embedder needs [embedding]"
    yield card.kind == "attributes" and card.attributes is None, "attributes: an attribute model needs [attributes]"
    yield card.kind == "recognizer" and card.text is None, "text: a text recognizer needs [text]"
    if card.attributes:
        shape = card.attributes
        per_name = {len(shape.names), len(shape.calibration), len(shape.balanced)}
        yield len(per_name) > 1, "attributes: calibration and balanced need one entry for each of names"
    yield 0.0 in card.input.std, "input.std: must not be 0"
    if decoder:
        yield bool(decoder.width or decoder.height), "decoder.width: belongs to [input]"
        both = bool(decoder.labels) == bool(decoder.labels_file)
        yield both, "decoder.labels: expected either labels or labels_file"
        yield len(set(decoder.tensors)) < len(decoder.tensors), "decoder.tensors: duplicate name"
        yield "/" in decoder.labels_file, "decoder.labels_file: a file beside the card, without folders"
    yield card.cohort is not None and card.calibration is None, "cohort: needs [calibration] of normalized scores"
    if card.calibration:
        try:
            _ = card.map
        except ModelError as error:
            yield True, error.message


def _labeled(card: Card, folder: Path) -> Card:
    if card.decoder is None or not card.decoder.labels_file:
        return card
    path = folder / card.decoder.labels_file
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"card {folder / CARD}: decoder.labels_file: {path} cannot be read: {error}",
            "put the labels beside the card, one per line",
        ) from error
    return replace(card, decoder=replace(card.decoder, labels=tuple(line.strip() or "n/a" for line in lines)))


def _explained(error: ValidationError, where: str) -> str:
    lines = []
    for detail in error.errors():
        key = ".".join(str(part) for part in detail["loc"]) or "card"
        rule = "unknown key" if detail["type"] == "unexpected_keyword_argument" else detail["msg"]
        rule = "is missing" if detail["type"] in ("missing", "missing_argument") else rule
        value = detail.get("input")
        got = "" if isinstance(value, dict | list) else f" (got {value!r})"
        lines.append(f"{key}: {rule}{got}")
    return f"card {where}: " + "; ".join(lines)


def to_table(card: Card) -> dict[str, Any]:
    """The card as a TOML table that ``parse_card`` reads back; labels inline, defaults left out."""
    table = _non_defaults(card)
    if card.decoder:
        for key in ("width", "height", "labels_file"):
            table["decoder"].pop(key, None)
    return table


def dumps(table: dict[str, Any]) -> str:
    """Serialize ``table`` as TOML: plain keys first, then one section per nested table."""
    plain = [f"{_key(key)} = {_value(item)}" for key, item in table.items() if not isinstance(item, dict)]
    return "\n".join([*plain, *_sections(table, ())]) + "\n"


def _sections(table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    lines: list[str] = []
    for key, item in table.items():
        if isinstance(item, dict):
            here = (*path, key)
            lines += ["", f"[{'.'.join(_key(part) for part in here)}]"]
            lines += [f"{_key(k)} = {_value(v)}" for k, v in item.items() if not isinstance(v, dict)]
            lines += _sections(item, here)
    return lines


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _value(item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return _text(item)
    if isinstance(item, list | tuple):
        return f"[{', '.join(_value(part) for part in item)}]"
    if isinstance(item, dict):
        return f"{{{', '.join(f'{_key(key)} = {_value(part)}' for key, part in item.items())}}}"
    return repr(item)


def _text(text: str) -> str:
    """A JSON string is a valid TOML string, except for DEL and lone surrogates, which TOML rejects."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")


def _non_defaults(value: Any) -> dict[str, Any]:
    told = {}
    for key in fields(value):
        item = getattr(value, key.name)
        default = key.default if key.default is not MISSING else None
        if item is None or (item == default and default is not None) or item in ((), {}, ""):
            continue
        told[key.name] = _plain(item)
    return told


def _plain(item: Any) -> Any:
    if is_dataclass(item):
        return _non_defaults(item)
    if isinstance(item, tuple | list):
        return [_plain(part) for part in item]
    if isinstance(item, dict):
        return {key: _plain(part) for key, part in item.items()}
    return item
