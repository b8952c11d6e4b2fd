"""Signed callers."""
