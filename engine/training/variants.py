"""The systems of the paper's Tables 3 to 8, each as the few entries of a recipe that set it apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.errors import SwahrError
from engine.training.recipe import Recipe

Changes = Mapping[str, Any]  # "section.key" -> value


@dataclass(frozen=True)
class Row:
    """One system of a table.

    name: of its run's folder; systems of the same name are the same in all tables. cells: what stands before the
    figures, one for each of the table's `labels`. published: the paper's figures on COCO val2017 in percent (flip
    test, single scale), by the names of `Table.figures`. changes: to the recipe.
    """

    name: str
    cells: tuple[str, ...]
    published: Mapping[str, float]
    changes: Changes


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    labels: heads of the cells of a row. figures: names as `evaluate` gives them. reference: the row that the others are
    compared with. across: whether the paper prints its rows side by side, one a column. recipe: which bundled recipe
    suits it where nothing but synthetic people is at hand.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    figures: tuple[str, ...]
    rows: tuple[Row, ...]
    reference: str
    across: bool = True
    recipe: str = "synthetic"

    def chosen(self, names: Sequence[str] | None) -> tuple[Row, ...]:
        """The rows of these names, in the table's order; all for None. Raises SwahrError for an unknown name."""
        known = [row.name for row in self.rows]
        for name in names or ():
            if name not in known:
                raise SwahrError(f"{self.name} has no row '{name}'; its rows are {', '.join(known)}.")
        return tuple(row for row in self.rows if names is None or row.name in names)


def changed(recipe: Recipe, changes: Changes) -> Recipe:
    """`recipe` with some entries changed."""
    for name, value in changes.items():
        section, _, key = name.partition(".")
        recipe = replace(recipe, **{section: replace(getattr(recipe, section), **{key: value})})
    return recipe


def find_table(name: str) -> Table:
    """A table by its name, such as table3. Raises SwahrError for an unknown one."""
    if name not in TABLES:
        raise SwahrError(f"There is no table '{name}'; choose one of {', '.join(TABLES)}.")
    return TABLES[name]


def _published(names: Sequence[str], *values: float) -> dict[str, float]:
    return dict(zip(names, values, strict=True))


_SIZES = ("AP", "APM", "APL")
_ALL = ("AP", "AP50", "AP75", "APM", "APL")
_BASELINE = {"loss.heatmap": "baseline"}
_SAHR = {"loss.heatmap": "sahr", "loss.regulariser": 1.0}
_WAHR = {"loss.heatmap": "wahr", "loss.gamma": 0.01}
_FINE = {**_BASELINE, "test.heatmaps": "fine"}


def _lambda_row(value: float, average_precision: float) -> Row:
    name = "sahr" if value == 1 else f"sahr-lambda-{value:g}"
    text = "+∞" if math.isinf(value) else f"{value:g}"
    return Row(name, (text,), {"AP": average_precision}, {**_SAHR, "loss.regulariser": value})


def _gamma_row(value: float, average_precision: float) -> Row:
    name = "wahr" if value == 0.01 else f"wahr-gamma-{value:g}"
    return Row(name, (f"{value:g}",), {"AP": average_precision}, {**_WAHR, "loss.gamma": value})


def _dilation_row(digits: str, *figures: float) -> Row:
    changes = {**_FINE, "model.dilations": tuple(int(digit) for digit in digits), "mixture.sigma": 2.0}
    return Row(f"fine-dilation-{digits}", (digits,), _published(_SIZES, *figures), changes)


def _sigma_row(value: float, *figures: float) -> Row:
    # The same system as the first of Table 7 where σ is 2.
    name = "fine-dilation-1111" if value == 2 else f"fine-sigma-{value:g}"
    changes = {**_FINE, "model.dilations": (1, 1, 1, 1), "mixture.sigma": value}
    return Row(name, (f"{value:g}",), _published(_SIZES, *figures), changes)


_TABLES = (
    Table(
        "table3",
        "Ablation of SAHR and WAHR",
        ("SAHR", "WAHR"),
        _SIZES,
        (
            Row("baseline", ("", ""), _published(_SIZES, 67.1, 61.5, 76.1), _BASELINE),
            Row("wahr", ("", "✓"), _published(_SIZES, 68.4, 62.5, 77.0), _WAHR),
            Row("sahr", ("✓", ""), _published(_SIZES, 67.8, 62.5, 76.1), _SAHR),
            Row("swahr", ("✓", "✓"), _published(_SIZES, 68.9, 63.0, 77.5), {**_SAHR, **_WAHR, "loss.heatmap": "swahr"}),
        ),
        "baseline",
        across=False,
    ),
    Table(
        "table4",
        "SAHR beside the naive baseline, whose scales come from the boxes' widths",
        ("Methods",),
        _ALL,
        (
            Row("baseline", ("baseline",), _published(_ALL, 67.1, 86.2, 73.0, 61.5, 76.1), _BASELINE),
            Row("shr", ("SHR",), _published(_ALL, 63.9, 84.7, 68.0, 55.5, 77.0), {"loss.heatmap": "shr"}),
            Row("sahr", ("SAHR",), _published(_ALL, 67.8, 86.8, 73.7, 62.5, 76.1), _SAHR),
        ),
        "baseline",
        across=False,
    ),
    Table(
        "table5",
        "The weight λ of the regulariser, with SAHR alone",
        ("λ",),
        ("AP",),
        (_lambda_row(0.1, 67.6), _lambda_row(0.5, 67.8), _lambda_row(1.0, 67.8), _lambda_row(math.inf, 67.1)),
        "sahr-lambda-inf",
    ),
    Table(
        "table6",
        "The exponent γ of the weights, with WAHR alone",
        ("γ",),
        ("AP",),
        (_gamma_row(1.0, 67.8), _gamma_row(0.1, 68.2), _gamma_row(0.01, 68.4), _gamma_row(0.001, 68.4)),
        "wahr-gamma-1",
    ),
    Table(
        "table7",
        "Dilation of the four blocks at 1/2, heatmaps of 1/2 alone",
        ("dilation",),
        _SIZES,
        (
            _dilation_row("1111", 66.6, 61.3, 75.0),
            _dilation_row("1122", 66.6, 61.4, 75.0),
            _dilation_row("2222", 66.7, 61.3, 75.1),
        ),
        "fine-dilation-1111",
        recipe="synthetic-hrnet",
    ),
    Table(
        "table8",
        "The standard deviation σ of the Gaussians, heatmaps of 1/2 alone",
        ("σ",),
        _SIZES,
        (_sigma_row(2.0, 66.6, 61.3, 75.0), _sigma_row(2.5, 66.1, 60.1, 75.2), _sigma_row(3.0, 65.4, 58.3, 75.4)),
        "fine-dilation-1111",
    ),
)
TABLES: dict[str, Table] = {table.name: table for table in _TABLES}
