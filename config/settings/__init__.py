"""The project's settings, from the environment."""

from .base import *  # noqa: F403
