"""What is wrong with a data set: sentences by kind, counted, of which the first few are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

KEPT = 20  # sentences of each kind

OUTSIDE = "keypoints outside of the picture"

# Kind -> whether it is a fault: what training and evaluation refuse, or leave out where that is allowed. The others
# are remarks: what can be read all the same, and how.
KINDS = {
    "images that cannot be understood": True,
    "images listed twice": True,
    "annotations that cannot be understood": True,
    "annotations listed twice": True,
    "annotations of no image": True,
    "annotations of no category": True,
    "another skeleton": True,
    "wrong keypoints": True,
    "unknown flags": True,
    "unknown regions": True,
    "missing pictures": True,
    "damaged pictures": True,
    "pictures of another size": True,
    "other names of keypoints": False,
    "pictures listed twice": False,
    OUTSIDE: False,
    "wrong segmentations": False,
    "wrong counts of keypoints": False,
    "strange boxes": False,
    "strange areas": False,
    "strange crowd indices": False,
    "people labelled twice": False,
}


@dataclass
class Findings:
    """Sentences by kind (see KINDS), each about one entry, without the annotation file's name.

    counts: how often each kind was found. sentences: the first KEPT of each kind. first_fault: the fault that was found
    first, or "".
    """

    counts: dict[str, int] = field(default_factory=dict)
    sentences: dict[str, list[str]] = field(default_factory=dict)
    first_fault: str = ""

    def add(self, kind: str, sentence: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        kept = self.sentences.setdefault(kind, [])
        if len(kept) < KEPT:
            kept.append(sentence)
        if KINDS[kind] and not self.first_fault:
            self.first_fault = sentence

    @property
    def faults(self) -> int:
        """How many faults there are."""
        return sum(number for kind, number in self.counts.items() if KINDS[kind])

    @property
    def remarks(self) -> int:
        """How many remarks there are."""
        return sum(self.counts.values()) - self.faults

    def merged(self, other: Findings) -> Findings:
        """The findings of both, these first."""
        both = Findings(dict(self.counts), dict(self.sentences), self.first_fault or other.first_fault)
        for kind, number in other.counts.items():
            both.counts[kind] = both.counts.get(kind, 0) + number
            both.sentences[kind] = (both.sentences.get(kind, []) + other.sentences[kind])[:KEPT]
        return both

    def fault_counts(self) -> str:
        """How many faults there are of each kind, such as "damaged pictures: 2, unknown flags: 1"."""
        return ", ".join(f"{kind}: {self.counts[kind]}" for kind in KINDS if KINDS[kind] and kind in self.counts)

    def fault_sentences(self) -> list[str]:
        """The sentences about faults."""
        return [sentence for kind, kept in self.sentences.items() if KINDS[kind] for sentence in kept]

    def lines(self) -> Iterator[str]:
        """Every kind that was found, faults first, with its sentences and how many more there are."""
        for kind in sorted(self.counts, key=lambda kind: (not KINDS[kind], list(KINDS).index(kind))):
            number, kept = self.counts[kind], self.sentences[kind]
            yield f"{'Fault' if KINDS[kind] else 'Remark'}: {kind} ({number})"
            yield from (f"  {sentence}" for sentence in kept)
            if number > len(kept):
                yield f"  and {number - len(kept)} more."

    def to_dict(self) -> dict[str, Any]:
        return {"counts": self.counts, "sentences": self.sentences, "first_fault": self.first_fault}
