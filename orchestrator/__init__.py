"""A control plane that turns the claims of coding agents into facts.

The rooms and their order are in `docs/architecture.md`; `python -m orchestrator` is the door.
"""

__version__ = "0.1.0"
