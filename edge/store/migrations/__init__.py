"""Alembic's environment. Revisions are `versions/NNNN_what.py`, one line from "0001" on; the owner of a table writes
its own.
"""
