"""Carriers, one file each: how texts come in and go out.

`edge.sms.carrier` has the contract; `site.py` has what a carrier is given to work with.
"""
