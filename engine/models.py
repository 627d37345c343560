"""The models that come with the program."""

from __future__ import annotations

from pathlib import Path

from engine.errors import SwahrError

SUFFIX = ".safetensors"


def model_folders() -> list[Path]:
    """Where models may lie: inside the installed package, or in the checkout beside it."""
    package = Path(__file__).resolve().parent
    return [folder for folder in (package / "assets", package.parent / "assets") if folder.is_dir()]


def bundled_models() -> dict[str, Path]:
    """Name -> weights file of every model at hand, sorted by name."""
    found = {file.stem: file for folder in reversed(model_folders()) for file in folder.glob(f"*{SUFFIX}")}
    return dict(sorted(found.items()))


def model_file(model: str | Path) -> Path:
    """The weights file that a bundled model's name or a path stands for, which is there if it is a bundled one's.

    Raises SwahrError for a name that no bundled model has.
    """
    path = Path(model)
    is_name = not path.suffix and len(path.parts) == 1 and not path.is_file()
    return find_model(str(model)) if is_name else path


def find_model(name: str) -> Path:
    """The weights file of a bundled model. Raises SwahrError naming the ones there are."""
    models = bundled_models()
    if name in models:
        return models[name]
    from engine.network import PRESETS  # and with it torch, which whoever lists models need not wait for

    at_hand = f"there are {', '.join(models)}" if models else "none is installed"
    if name in PRESETS:
        raise SwahrError(
            f"No weights of {name!r} come with this program ({at_hand}); give the path of a checkpoint, "
            f"with the preset {name!r}."
        )
    raise SwahrError(f"There is no model {name!r} ({at_hand}); give one of these or the path of a weights file.")
