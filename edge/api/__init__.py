"""The HTTP door: provisioning, records, carriers' webhooks, health and metrics.

An *operation* is one thing a client may ask for, described once as a frozen value: method, path, models, who may ask,
which errors. The *host* (`app.py`) mounts operations, reads what they are asked (`Ask`), answers what they return,
turns every error into the one envelope, counts and logs. The OpenAPI document and the page at `/docs` are derived
from the same values. A *resource* file (numbers, flows, …) holds the operations of one noun and nothing of HTTP but
their description.
"""
