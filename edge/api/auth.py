"""Who asks: an access key from `Authorization: Bearer vb_…` or, as on the platform, from `?accesskey=`.

A key belongs to a customer, or is an admin's. Whatever another customer owns does not exist for a customer's key
(404), so that ids cannot be probed. A suspended customer's keys are told so (403).
"""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from edge.accounts.customer import CustomerDirectory
from edge.accounts.key import Identity, KeyTable
from edge.api.reading import KEY_PARAMETER
from edge.errors import Fault, Forbidden, Invalid, Unauthenticated


class Door:
    """Lets keys in."""

    def __init__(self, keys: KeyTable, customers: CustomerDirectory) -> None:
        self._keys = keys
        self._customers = customers

    async def admit(self, request: web.Request, who: Literal["customer", "admin"]) -> Identity:
        """Who the request's key stands for. Raises Unauthenticated, Forbidden."""
        identity = await self._keys.identify(_token(request))
        if identity is None:
            raise Unauthenticated("this access key is unknown, revoked or expired", reason="INVALID_CREDENTIALS")
        if identity.admin:
            return identity
        if identity.customer_id is None:
            raise Unauthenticated("this access key belongs to nobody", reason="INVALID_CREDENTIALS")
        customer = (await self._customers.find(identity.customer_id)).value
        if customer is None or customer.status != "active":
            raise Forbidden("the account of this access key is suspended", reason="ACCOUNT_SUSPENDED")
        if who == "admin":
            raise Forbidden("only an admin access key may do that", reason="ADMIN_REQUIRED")
        return identity


def _token(request: web.Request) -> str:
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")  # RFC 9110 §11.4: the scheme's case does not matter
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("the Authorization header must be: Bearer vb_…", reason="INVALID_CREDENTIALS")
        return token.strip()
    token = request.query.get(KEY_PARAMETER, "")
    if not token:
        raise Unauthenticated("an access key is needed", reason="AUTHENTICATION_REQUIRED")
    return token


def scope(asker: Identity) -> str | None:
    """The customer whose things the asker sees; None is all of them."""
    return None if asker.admin else asker.customer_id


def owner(asker: Identity, given: str | None) -> str:
    """The customer a new thing belongs to: the asker's own, or for an admin the one given. Raises Invalid."""
    if asker.admin:
        if given is None:
            fault = Fault("customer_id", "is missing; an admin access key has to say for whom")
            raise Invalid("the body is not usable", faults=[fault])
        return given
    assert asker.customer_id is not None
    if given is not None and given != asker.customer_id:
        raise Invalid("the body is not usable", faults=[Fault("customer_id", "is not the account of this access key")])
    return asker.customer_id
