"""The list that ``swahr models`` shows."""

from __future__ import annotations

from safetensors import safe_open

from engine.checkpoint import ModelMetadata
from engine.models import bundled_models
from engine.network import PRESETS


def list_models() -> str:
    """What ``--model`` and ``--preset`` can name, with size, skeleton and figures, one a line."""
    lines = ["Models (--model NAME):"]
    for name, path in bundled_models().items():
        with safe_open(path, framework="np") as file:
            metadata = ModelMetadata.from_strings(file.metadata())
        figures = ", ".join(f"{key} {value}" for key, value in metadata.figures.items()) or "no figures"
        lines.append(
            f"  {name}: {path}, {path.stat().st_size / 1e6:.1f} MB, preset {metadata.preset}, "
            f"{metadata.input_size} px, {metadata.skeleton.name}, {figures}"
        )
    if len(lines) == 1:
        lines.append("  none is installed")
    lines.append("Presets (--model FILE.pth --preset NAME):")
    lines += [f"  {name}: {config.input_size} px, {config.skeleton.name}" for name, config in PRESETS.items()]
    return "\n".join(lines)
