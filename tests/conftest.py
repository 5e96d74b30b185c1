"""What holds for every test: a property is judged by its examples, never by the clock."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("project", deadline=None)
settings.load_profile("project")
