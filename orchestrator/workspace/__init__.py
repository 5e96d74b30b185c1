"""The work tree as the controller sees it: exact trees, real differences, clean copies.

`open.open_workspace(root, scratch=...)` gives a `GitTree`, or a `FileTree` where there is no git.
Both hold to `model.Workspace`, and one conformance suite tests both. Nothing here writes to the
user's index, `HEAD`, branches, hooks or configuration.
"""
