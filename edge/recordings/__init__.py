"""Recordings of calls: both sides on one time line, in a file that a crash cannot spoil.

take       a recording under way: what was said on both sides, laid out by time
ending     why a take was over: somebody stopped it, a key, silence, its length, the end of the call, …
spool      the folder in which takes are written, and where they stay until their storage has them
storage    where recordings are kept for good: a directory, a bucket; one plug-in each, in `edge/storages`
keeper     who brings a finished take into its format and its storage, however often that takes
"""
