"""The chart keeps the last results, and shows each stage as high as it took time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtGui import QImage, QPalette

from app.viewer.stage_chart import (
    _COLOURS,
    OTHERS,
    RESULTS,
    SMOOTHED,
    STAGES,
    RecentStages,
    StageChart,
    format_grid,
    format_milliseconds,
    layers_at,
    needed_top,
    next_top,
)
from app.viewer.theme import palette_of

ROWS = len(_COLOURS)
milliseconds = st.floats(0.001, 1e5)


def values(recent: RecentStages, name: str) -> list[float]:
    row = {name: row for row, name in recent.present().items()}[name]
    return list(recent.milliseconds()[row])


# -- what is kept ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 7, RESULTS, RESULTS + 1, 3 * RESULTS + 5])
def test_the_last_results_are_kept_in_order(number):
    recent = RecentStages()
    for result in range(1, number + 1):
        recent.add({"network": result / 1000})
    expected = range(max(1, number - RESULTS + 1), number + 1)
    assert values(recent, "network") == pytest.approx(list(expected))
    assert recent.milliseconds().shape == (ROWS, len(expected))


def test_a_stage_keeps_its_place_whatever_comes_first_and_after_clearing():
    one, other = RecentStages(), RecentStages()
    one.add(dict.fromkeys(STAGES, 0.001))
    other.add({"draw": 0.001})
    other.add({"tracking": 0.001, "network": 0.001})
    other.clear()
    assert other.present() == {}
    other.add({"export": 0.001})
    other.add({"tracking": 0.001, **dict.fromkeys(reversed(STAGES), 0.001)})
    assert list(one.present().values()) == list(STAGES)
    assert list(other.present().values()) == [*STAGES, "tracking", "export"]


def test_memory_is_flat_and_what_has_no_row_of_its_own_is_not_lost():
    recent = RecentStages()
    recent.add({f"stage {number}": 0.001 for number in range(50)})
    assert list(recent.present().values()) == ["stage 0", "stage 1", OTHERS]
    assert values(recent, OTHERS) == pytest.approx([48])
    assert recent.milliseconds().sum() == pytest.approx(50)
    for number in range(1000):
        recent.add({f"later {number}": 0.001})
    assert recent.milliseconds().shape == (ROWS, RESULTS)
    assert len(recent._rows) < ROWS


def test_a_stage_that_was_left_out_took_no_time():
    recent = RecentStages()
    recent.add({"resize": 0.002, "network": 0.01})
    recent.add({"network": 0.01})
    assert values(recent, "resize") == pytest.approx([2, 0])
    for _ in range(RESULTS):
        recent.add({"network": 0.01})
    assert list(recent.present().values()) == ["network"]


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -1.0, 0.0])
def test_odd_durations_count_as_none(odd):
    recent = RecentStages()
    recent.add({"network": odd, "draw": 0.004})
    assert list(recent.present().values()) == ["draw"]
    assert recent.smoothed().sum() == pytest.approx(4)


def test_the_smoothed_value_is_the_mean_of_the_newest():
    recent = RecentStages()
    for result in range(200):
        recent.add({"network": result / 1000})
    assert recent.smoothed()[STAGES.index("network")] == pytest.approx(199 - (SMOOTHED - 1) / 2)


# -- the scale -------------------------------------------------------------------------------------------------


@given(milliseconds, milliseconds)
def test_the_scale_has_room_but_not_much_more_and_a_round_number(before, needed):
    top = next_top(next_top(0, before), needed)
    assert needed <= top
    assert top <= 5 * needed or top == 1
    assert f"{top:.0e}"[0] in "125"
    assert top == pytest.approx(float(f"{top:.0e}"))


@given(milliseconds, st.lists(st.floats(0.87, 1.0), min_size=1, max_size=30))
def test_the_scale_does_not_jump_about(needed, noise):
    top = next_top(0, needed)
    seen = {top}
    for part in noise:
        top = next_top(top, part * needed)
        seen.add(top)
    assert len(seen) == 1


@given(milliseconds, milliseconds)
def test_the_scale_settles_at_once(before, needed):
    top = next_top(next_top(0, before), needed)
    assert next_top(top, needed) == top


def test_a_rare_slow_result_does_not_press_the_others_flat():
    usual = np.full((1, RESULTS), 20.0)
    usual[0, ::40] = 3000
    assert needed_top(usual) == 20


def test_layers_lie_on_each_other():
    stack = np.array([[2.0, 0.0], [3.0, 1.0], [0.0, 4.0]])
    layers = layers_at(np.array([0.5, 1.5, 2.5, 4.5, 5.5]), stack)
    assert layers.T.tolist() == [[0, 0, 1, 1, 3], [1, 2, 2, 2, 3]]


@given(st.lists(st.lists(st.floats(0, 50), min_size=3, max_size=3), min_size=1, max_size=5))
def test_a_layer_has_as_many_heights_as_its_stage_took_time(columns):
    stack = np.array(columns).T
    layers = layers_at(np.arange(0.05, 150, 0.1), stack)
    for row in range(3):
        assert (layers == row).sum(axis=0) / 10 == pytest.approx(stack[row], abs=0.11)


def test_milliseconds_in_words():
    shown = {0.0: "0.0", 8.44: "8.4", 34: "34.0", 99.94: "99.9", 99.96: "100", 1234.4: "1234"}
    assert {value: format_milliseconds(value) for value in shown} == shown
    lines = {0.5: "0.5 ms", 25: "25 ms", 500: "500 ms", 1000: "1 s", 2500: "2.5 s"}
    assert {value: format_grid(value) for value in lines} == lines


# -- how it looks ----------------------------------------------------------------------------------------------


@pytest.fixture(params=[True, False], ids=["dark", "light"])
def chart(qtbot, request):
    widget = StageChart()
    qtbot.addWidget(widget)
    widget.setPalette(palette_of(request.param))
    widget.resize(300, 140)
    return widget


def pixels(chart: StageChart, ratio: float = 1.0) -> np.ndarray:
    image = QImage(round(chart.width() * ratio), round(chart.height() * ratio), QImage.Format.Format_RGBA8888)
    image.setDevicePixelRatio(ratio)
    chart.render(image)
    values = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return values.reshape(image.height(), image.width(), 4)[..., :3].astype(int)


def covered(chart: StageChart, stage: str, ratio: float = 1.0) -> np.ndarray:
    """Where the picture has the colour of a stage, without the legend's swatches, [H, W]."""
    picture = pixels(chart, ratio)[:, : round(0.61 * chart.width() * ratio)]
    return np.abs(picture - _COLOURS[STAGES.index(stage)].getRgb()[:3]).sum(axis=2) < 6


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
def test_areas_are_as_large_as_the_time_they_took(chart, ratio):
    for _ in range(RESULTS):
        chart.add({"network": 0.030, "grouping": 0.010})
    network, grouping = covered(chart, "network", ratio), covered(chart, "grouping", ratio)
    assert network.sum() / grouping.sum() == pytest.approx(3, rel=0.1)
    assert network.sum() > 5000 * ratio**2
    assert np.nonzero(grouping)[0].max() < np.nonzero(network)[0].max()  # on top of it
    high = network[:, network.any(axis=0)].sum(axis=0)
    assert high.mean() == pytest.approx(0.6 * 128 * ratio, abs=3 * ratio)  # 30 of 50 ms


def test_the_newest_is_at_the_right_and_moves_to_the_left(chart):
    for stage in ("network", "grouping", "grouping"):
        for _ in range(30):
            chart.add({stage: 0.030})
    old, new = (np.flatnonzero(covered(chart, stage).any(axis=0)) for stage in ("network", "grouping"))
    assert old.max() < new.min()
    assert np.ptp(new) / np.ptp(old) == pytest.approx(2, rel=0.1)
    for _ in range(20):
        chart.add({"grouping": 0.030})
    moved, newer = (np.flatnonzero(covered(chart, stage).any(axis=0)) for stage in ("network", "grouping"))
    assert newer.max() == new.max()
    assert old.max() - moved.max() == pytest.approx(20 / 30 * np.ptp(old), abs=2)


def test_the_legend_has_the_order_of_the_layers(chart):
    chart.add(dict.fromkeys(STAGES, 0.010))
    picture = pixels(chart)[:, round(0.61 * chart.width()) :]
    rows = []
    for colour in _COLOURS[: len(STAGES)]:
        same = np.abs(picture - colour.getRgb()[:3]).sum(axis=2) < 6
        assert same.sum() > 50
        rows.append(np.nonzero(same)[0].mean())
    assert rows == sorted(rows, reverse=True)


def test_without_results_there_is_a_sentence_and_after_clearing_again(chart):
    blank = pixels(chart)
    assert len(np.unique(blank.reshape(-1, 3), axis=0)) > 1
    chart.add({"network": 0.030})
    assert (pixels(chart) != blank).any()
    chart.clear()
    assert (pixels(chart) == blank).all()
    chart.add({"network": 0.0})
    assert (pixels(chart) == blank).all()


@pytest.mark.parametrize("size", [(260, 120), (220, 90), (30, 20), (1, 1), (0, 0)])
def test_there_may_be_little_room_and_many_stages(chart, size):
    chart.resize(*size)
    for number in range(3):
        chart.add({f"a stage with a long name {number}": 0.5, **dict.fromkeys(STAGES, 20.0)})
        chart.grab()
    ground = chart.palette().color(QPalette.ColorRole.Window).getRgb()[:3]
    if size[0] >= 220:
        assert (pixels(chart)[:, -4:] == ground).all()  # what is at the edge is not cut off
        assert (pixels(chart)[-3:] == ground).all()
