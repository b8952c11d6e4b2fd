"""Accounts: who owns numbers and flows, and who may ask for what.

- *Customer*: the owner of numbers, flows, calls and messages; the platform's tenant. Active or suspended.
- *Access key*: the secret of a client, `vb_…`. Only its hash is kept. It belongs to a customer, or is an admin's.
- *Identity*: whom a key stands for.
"""
