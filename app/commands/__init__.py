"""The commands of ``swahr``: their options, and what they call. What is slow to import is imported when they run."""
