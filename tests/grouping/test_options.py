import pytest

from grouping import GroupingOptions


def test_defaults():
    assert GroupingOptions() == GroupingOptions(
        max_people=30,
        detection_threshold=0.1,
        tag_threshold=1.0,
        nms_kernel=5,
        adjust=True,
        refine=True,
        person_threshold=0,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_people": 0}, "max_people is 0; it must be at least 1"),
        ({"detection_threshold": -0.1}, "detection_threshold is -0.1; it must lie between 0 and 1"),
        ({"detection_threshold": 1.5}, "detection_threshold is 1.5"),
        ({"detection_threshold": float("nan")}, "detection_threshold is nan"),
        ({"tag_threshold": 0.0}, "tag_threshold is 0.0; it must be positive and finite"),
        ({"tag_threshold": float("inf")}, "tag_threshold is inf"),
        ({"person_threshold": 1.5}, "person_threshold is 1.5; it must lie between 0 and 1"),
        ({"nms_kernel": 4}, "nms_kernel is 4; it must be odd"),
        ({"nms_kernel": -1}, "nms_kernel is -1; it must be odd"),
    ],
)
def test_values_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        GroupingOptions(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_people": 2.5}, "max_people is 2.5; it must be a whole number"),
        ({"nms_kernel": True}, "nms_kernel is True; it must be a whole number"),
        ({"tag_threshold": "1"}, "tag_threshold is '1'; it must be a number"),
        ({"person_threshold": None}, "person_threshold is None; it must be a number"),
        ({"refine": 1}, "refine is 1; it must be True or False"),
    ],
)
def test_values_of_another_type_are_refused(change, message):
    with pytest.raises(TypeError, match=message):
        GroupingOptions(**change)
