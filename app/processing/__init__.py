"""Recorded video and pictures: every frame, in order, to files; never losing what was done already."""
