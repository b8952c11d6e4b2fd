"""Storages of recordings, one file each; `edge/recordings/storage.py` has the contract."""
