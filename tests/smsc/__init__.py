"""SMSCs that others wrote, as processes that do what a test tells them and tell what they saw.

node_smpp.js    npm's `smpp`
rust_smpp.py    PyPI's `smpp34`
process         either of them, from a test
"""
