"""From the network's maps to people: skeletons, candidates, tag matching, refinement."""

from .compiled import forget_outdated
from .group import compiled_folder, group, group_outputs, start_warm_up, warm_up
from .options import GroupingOptions
from .people import People
from .skeleton import COCO17, CROWDPOSE14, SKELETONS, PairedSkeleton, Skeleton
from .smoothing import Smoother, SmoothingOptions
from .tracking import Tracker, TrackingOptions

__all__ = [
    "COCO17",
    "CROWDPOSE14",
    "SKELETONS",
    "GroupingOptions",
    "PairedSkeleton",
    "People",
    "Skeleton",
    "Smoother",
    "SmoothingOptions",
    "Tracker",
    "TrackingOptions",
    "compiled_folder",
    "group",
    "group_outputs",
    "start_warm_up",
    "warm_up",
]

forget_outdated(compiled_folder())
