"""Voices, one file each: what speaks the texts of flows.

`edge.media.voice` has the contract; `studio.py` has what a voice is given to work with.
"""
