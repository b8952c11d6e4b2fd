"""All actions, entered into their table."""

from __future__ import annotations

from edge.plugins import load

load("edge.actions")
