"""Skeletons of one's own, described in TOML: which keypoints a data set labels, and what is their mirror image."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import SwahrError
from grouping import SKELETONS, PairedSkeleton, Skeleton

_KEYS = {"name", "keypoints", "limbs", "sigmas", "flip_pairs", "grouping_order"}


def find_skeleton(name_or_path: str) -> Skeleton:
    """A built-in skeleton by its name, or the one that a TOML file describes (see `load_skeleton`)."""
    if name_or_path in SKELETONS:
        return SKELETONS[name_or_path]
    if not name_or_path.endswith(".toml"):
        raise SwahrError(
            f"There is no skeleton {name_or_path!r}; choose one of {', '.join(SKELETONS)}, or name a TOML file."
        )
    return load_skeleton(Path(name_or_path))


def load_skeleton(path: Path) -> Skeleton:
    """The skeleton of a TOML file with these keys:

    name: what it is called (else the file's name). keypoints: their names, in the order of the annotations.
    limbs: pairs of names, each drawn as a line. sigmas: the OKS constant of each keypoint in that order, or by name in
    a table; one number for all will do. flip_pairs: pairs of names, left then right; else read off names that begin
    with left_ and right_. grouping_order: all names in the order in which people are put together; else as listed.
    Raises SwahrError that names the file and what is wrong in it.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SwahrError(f"There is no skeleton {path}; name a TOML file.") from None
    except OSError as error:
        raise SwahrError(f"The skeleton {path} cannot be read ({error.strerror}); name a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SwahrError(f"{path} is not valid TOML: {error}.") from None
    try:
        return _skeleton(values, Path(path).stem)
    except ValueError as error:
        raise SwahrError(f"{path}: {error}.") from None


def _skeleton(values: Mapping[str, Any], name: str) -> Skeleton:
    for key in values:
        if key not in _KEYS:
            raise ValueError(f"there is an unknown key {key!r}; known keys are {', '.join(sorted(_KEYS))}")
    names = values.get("keypoints")
    if not _are_texts(names):
        raise ValueError("'keypoints' is missing; list the names of the keypoints, in the order of the annotations")
    settings = {
        "name": str(values.get("name", name)),
        "names": tuple(names),
        "limbs": _pairs(values.get("limbs", []), "limbs", names),
        "oks_sigmas": _sigmas(values.get("sigmas"), names),
    }
    if "grouping_order" in values:
        if not _are_texts(values["grouping_order"]):
            raise ValueError("'grouping_order' is no list of names of keypoints")
        settings["grouping_order"] = tuple(_index(one, "grouping_order", names) for one in values["grouping_order"])
    if "flip_pairs" in values:
        return PairedSkeleton(**settings, pairs=_pairs(values["flip_pairs"], "flip_pairs", names))
    return Skeleton(**settings)


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(value, str) for value in values)


def _pairs(pairs: Any, key: str, names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    if not isinstance(pairs, list) or not all(_are_texts(pair) and len(pair) == 2 for pair in pairs):
        raise ValueError(f'\'{key}\' is no list of pairs of names, such as [["left_eye", "right_eye"]]')
    return tuple((_index(one, key, names), _index(other, key, names)) for one, other in pairs)


def _index(name: Any, key: str, names: Sequence[str]) -> int:
    if name not in names:
        raise ValueError(f"'{key}' has {name!r}, which is not among the keypoints")
    return list(names).index(name)


def _sigmas(sigmas: Any, names: Sequence[str]) -> tuple[float, ...]:
    if isinstance(sigmas, Mapping):
        for name in [*sigmas, *names]:
            if name not in names or name not in sigmas:
                raise ValueError(f"'sigmas' and 'keypoints' do not both have {name!r}; give each keypoint one")
        sigmas = [sigmas[name] for name in names]
    if _is_number(sigmas):
        sigmas = [sigmas] * len(names)
    if not isinstance(sigmas, list) or not all(_is_number(sigma) for sigma in sigmas):
        raise ValueError(
            "'sigmas' is missing or no list of numbers; give each keypoint its OKS sigma (from COCO's 0.025 of an eye "
            "to 0.107 of a hip), or one number for all"
        )
    return tuple(float(sigma) for sigma in sigmas)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
