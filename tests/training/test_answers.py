"""Many pictures at once: the same answers as one by one, in order, with few held at a time."""

import threading
import time

import numpy as np
import pytest

from engine.errors import SwahrError
from engine.training.answers import answers
from grouping import COCO17, People


class Counting:
    """Answers a picture with one person whose nose is at its first pixel's value, and notes what it was given."""

    skeleton = COCO17

    def __init__(self, images_per_run):
        self.images_per_run, self.batches = images_per_run, []

    def batch(self, images):
        self.batches.append(len(images))
        return [self(image) for image in images]

    def __call__(self, image):
        keypoints = np.zeros((1, 17, 3), np.float32)
        keypoints[0, 0] = image[0, 0, 0], 0, 1
        return People(keypoints, np.ones(1, np.float32))


def picture(index):
    return np.full((8, 8, 3), index % 256, np.uint8)


@pytest.mark.parametrize("images_per_run", [1, 8])
@pytest.mark.parametrize("count", [0, 1, 7, 150])
def test_answers_are_those_of_one_by_one_in_order(images_per_run, count, no_thread_is_left):
    estimator = Counting(images_per_run)

    def read(index):
        time.sleep(0.003 * (index % 3 == 0))  # they do not finish in the order in which they are read
        return None if index % 10 == 9 else picture(index)

    found = list(answers(estimator, read, count))
    assert len(found) == count
    for index, people in enumerate(found):
        assert (people is None) == (index % 10 == 9)
        if people is not None:
            assert people.keypoints.tolist() == estimator(picture(index)).keypoints.tolist()
    assert max(estimator.batches, default=0) <= (1 if images_per_run == 1 else 32)


@pytest.mark.parametrize("images_per_run", [1, 8])
def test_few_pictures_are_held_at_a_time(images_per_run):
    held, most, lock = 0, 0, threading.Lock()

    class Slow(Counting):
        def batch(self, images):
            nonlocal held
            time.sleep(0.002)
            with lock:
                held -= len(images)
            return super().batch(images)

    def read(index):
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        return picture(index)

    list(answers(Slow(images_per_run), read, 400))
    assert most <= (6 if images_per_run == 1 else 160)


def test_an_error_of_reading_comes_through_and_ends_everything(no_thread_is_left):
    def read(index):
        if index == 5:
            raise SwahrError("five.png is missing.")
        return picture(index)

    got = []
    with pytest.raises(SwahrError, match=r"five\.png"):
        for people in answers(Counting(1), read, 1000):
            got.append(people)
    assert len(got) == 5


def test_who_stops_asking_stops_the_reading(no_thread_is_left):
    read = []
    found = answers(Counting(1), lambda index: read.append(index) or picture(index), 1000)
    next(found)
    found.close()
    assert len(read) < 10
