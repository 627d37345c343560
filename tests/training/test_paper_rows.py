"""A row beside the paper's: parameters and operations are those of its Table 1."""

import pytest

from engine.training.paper_rows import network_cost, paper_row

COCO = {"AP": 0.679, "AP50": 0.889, "AP75": 0.745, "APM": 0.624, "APL": 0.755}
CROWD = {"AP": 0.716, "AP50": 0.885, "AP75": 0.776, "AP easy": 0.789, "AP medium": 0.724, "AP hard": -1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "size", "millions", "billions"), [("w32-512", 512, 28.6, 48.0), ("w48-640", 640, 63.8, 154.6)]
)
def test_the_networks_cost_what_the_papers_table_says(preset, size, millions, billions):
    parameters, operations = network_cost(preset, size)
    assert round(parameters / 1e6, 1) == millions and round(operations / 1e9, 1) == billions


def test_cocos_row_has_the_columns_of_table_1():
    head, row = paper_row(COCO, "HrHRNet + SWAHR", "w32-512", 512).splitlines()
    assert head.split() == [
        "Methods",
        "Backbone",
        "Input",
        "Size",
        "#Params",
        "GFLOPs",
        "AP",
        "AP^50",
        "AP^75",
        "AP^M",
        "AP^L",
    ]
    assert row.split()[3:] == ["HRNet-W32", "512", "28.6", "48.0", "67.9", "88.9", "74.5", "62.4", "75.5"]
    assert all(row[at] != " " for at in (head.index("AP^75") + 4, head.index("GFLOPs") + 5))  # right-aligned


def test_crowdposes_row_has_the_columns_of_table_9():
    head, row = paper_row(CROWD, "HrHRNet-W48 + SWAHR", "w48-640-crowdpose", 640).splitlines()
    assert head.split() == ["Methods", "AP", "AP^50", "AP^75", "AP^E", "AP^M", "AP^H"]
    assert row.split()[3:] == ["71.6", "88.5", "77.6", "78.9", "72.4", "-"]
