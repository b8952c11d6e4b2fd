"""Flows are tested with the real actions."""

from __future__ import annotations

from edge.plugins import load

load("edge.actions")
