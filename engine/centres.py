"""From person centres to what keypoints are worth and whose they are: MoveNet's knowledge of people as maps.

Letters: N images, M people looked at (at most), K keypoints, h w cells of the 1/4 map of centres.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_PEOPLE = 20  # M
_LEAST_SCORE = 0.05  # of a centre; weaker ones are nobody
_SURE_SCORE = 0.15  # from here on a centre counts in full: nobody comes or goes with the last digit of a score
_NEAR = 0.25  # as a part of the smaller one's size, how far two candidates' expected places of a keypoint may be apart
_SAME = 0.4  # two candidates are one person if more than this part of their keypoints is so near
_REACH = 0.35  # standard deviation of a keypoint around its expected place, as a part of the person's size
_LEAST_REACH = 4.0  # input pixels, about what an expected place is off whatever the size
_LEAST_SIZE = 8.0  # input pixels
_TAG_RAMP = 24.0  # input pixels a tag unit: about a shoulder's width of the people that are hard to tell apart
_TAG_GAP = 2.0  # least distance of two people's tags, twice the threshold of grouping
_NOBODY = 1e4  # how much farther than anybody else those are who are nobody


class PeopleMaps(nn.Module):
    """Maps of where each keypoint is expected and of whose it would be, from the people that centres tell of.

    `forward(centres [N,1,h,w] in 0..1, offsets_at)`: `offsets_at(cells [N,M])` gives (y, x) of each of A anchors from
    people's centres in these cells, counted row by row, as [N,2A,M] in input pixels; `anchors` names the anchor of each
    of the K keypoints, None for one that may be anywhere.
    Returns, float32 and at 1/8, which is fine enough for what is as wide as this and a quarter of the work,

        presence [N,K,h/2,w/2]: 1 where somebody's keypoint is expected, falling off around it as a Gaussian; 1 all over
            for one that may be anywhere
        tags [N,K,h/2,w/2]: the tag of the person who is nearest in that sense, or whose first anchor is

    A person's tag is a ramp over the picture, one unit every 24 input pixels, so that it hardly changes from frame to
    frame; where people would come too near each other on it, those farther right and down are moved on to keep a
    distance of 2.

    Of somebody in an odd pose, several centres may each know a part: one where the legs are, another where the arms
    are. So those that agree with a better one on many keypoints are one person with it, and that person's keypoints are
    expected where any of them says.
    """

    def __init__(self, anchors: Sequence[int | None]) -> None:
        super().__init__()
        self.anchors = tuple(anchors)
        if None in self.anchors:
            anywhere = torch.tensor([float(anchor is None) for anchor in self.anchors])
            self.register_buffer("_anywhere", anywhere[:, None, None], persistent=False)
        earlier = torch.ones(_PEOPLE, _PEOPLE).triu(1)
        self.register_buffer("_earlier", earlier, persistent=False)  # [i, j]: i has the better centre of the two
        self.register_buffer("_rank", torch.arange(float(_PEOPLE)), persistent=False)
        known = {anchor: keypoint for keypoint, anchor in reversed([*enumerate(self.anchors)]) if anchor is not None}
        self._telling = sorted(known.values()) or [0]  # one keypoint of each anchor

    def forward(self, centres: Tensor, offsets_at: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        centres = centres.float()
        scores, middles, expected = self._candidates(centres, offsets_at)
        extent = expected.amax(3) - expected.amin(3)  # [N, 2, M]
        # Of 0, which it is for a single anchor, a root has no gradient.
        size = (extent[:, 0] * extent[:, 1]).clamp(min=_LEAST_SIZE**2).sqrt()
        first, owner = self._people(scores, expected, size)
        somebody = first.gather(1, owner)
        tags = self._tags(middles, first).gather(1, owner)
        weight = (scores - _LEAST_SCORE) / (_SURE_SCORE - _LEAST_SCORE)
        reach = 2 * ((_REACH * size) ** 2 + _LEAST_REACH**2)
        doubt = _NOBODY * (1 - somebody) - weight.clamp(1e-4, 1).log()
        grid = position(centres[:, :, ::2, ::2], 8)
        across, down = grid[:, 0, :1], grid[:, 1, :, :1]  # [N, 1, w/2], [N, h/2, 1]
        least, whose = None, None
        for person in range(_PEOPLE):
            x, y = expected[:, 0, person, :, None, None], expected[:, 1, person, :, None, None]  # [N, K, 1, 1]
            spread = reach[:, person, None, None, None]
            farness = (across[:, None] - x) ** 2 / spread + (
                (down[:, None] - y) ** 2 / spread + doubt[:, person, None, None, None]
            )
            tag = tags[:, person, None, None, None]
            if least is None:
                least, whose = farness, tag.expand_as(farness)
            else:
                whose = torch.where(farness < least, tag, whose)
                least = torch.minimum(least, farness)
        presence = torch.exp(-least)
        return (torch.maximum(presence, self._anywhere) if None in self.anchors else presence), whose

    def _candidates(self, centres: Tensor, offsets_at: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The M highest peaks [N, M], their (x, y) [N, 2, M] and where their keypoints are expected [N, 2, M, K]."""
        peaks = torch.where(centres >= F.max_pool2d(centres, 3, 1, 1), centres, 0.0)
        scores, cells = peaks.flatten(1).topk(_PEOPLE)
        middles = position(centres, 4).flatten(2).gather(2, cells[:, None].expand(-1, 2, -1))
        moves = offsets_at(cells).float()
        y, x = (
            moves[:, start::2][:, [anchor or 0 for anchor in self.anchors]].transpose(1, 2) for start in (0, 1)
        )  # [N, M, K]
        return scores, middles, middles[..., None] + torch.stack((x, y), 1)

    def _people(self, scores: Tensor, expected: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        """Which candidates are the best of a person, 1 or 0 [N, M], and the candidate that each is one with [N, M].

        That is a person's best one, or itself. Who is weak, agrees with the best ones of several people, or only with
        others than those, is nobody.
        """
        strong = (scores > _LEAST_SCORE).float()
        told = expected if len(self._telling) == len(self.anchors) else expected[..., self._telling]
        apart = (told[:, :, :, None] - told[:, :, None]).square().sum(1).sqrt()  # [N, M, M, anchors]
        near = apart < _NEAR * torch.minimum(size[:, :, None], size[:, None])[..., None]
        same = (near.float().mean(3) > _SAME).float() * self._earlier * strong[:, :, None] * strong[:, None]
        first = strong * (1 - same.amax(1))
        again = same * first[:, :, None]
        owner = torch.where(again.sum(1) == 1, (again * self._rank[:, None]).sum(1), self._rank)
        return first, owner.long()

    def _tags(self, middles: Tensor, people: Tensor) -> Tensor:
        ramp = (middles[:, 0] + 0.25 * middles[:, 1]) / _TAG_RAMP + 1e-3 * self._rank  # no two are equal
        before = (ramp[:, :, None] < ramp[:, None]).float() * people[:, :, None]  # [N, M, M]
        turn = _TAG_GAP * before.sum(1)
        free = ramp - turn
        pushed = torch.where(before > 0, free[:, :, None], free[:, None]).amax(1)
        return turn + pushed


def position(like: Tensor, stride: int) -> Tensor:
    """(x, y) of each cell's centre in input pixels, from the picture's centre: [N,2,h,w] for `like` [N,C,h,w]."""
    height, width = like.shape[-2:]
    x = (torch.arange(width, device=like.device, dtype=like.dtype) - (width - 1) / 2) * stride
    y = (torch.arange(height, device=like.device, dtype=like.dtype) - (height - 1) / 2) * stride
    grid = torch.stack((x.expand(height, width), y[:, None].expand(height, width)))
    return grid.expand(like.shape[0], 2, height, width)
