"""What an account's webhooks are signed with: for their owner to read, and to replace."""

from __future__ import annotations

from pydantic import Field

from edge.accounts.key import Identity
from edge.accounts.webhook_secret import WebhookSecretTable
from edge.api.auth import scope
from edge.api.field import Result
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.errors import NotFound


class WebhookSecret(Result):
    """What an account's webhooks are signed with."""

    customer_id: str = Field(description="The account.")
    secret: str = Field(description="The secret: whsec_ and a key in base64.")
    previous: str = Field(description="The one before, with which webhooks are signed too for a day; empty for none.")
    tm_create: str = Field(description="When the secret was made.")


class WebhookSecrets:
    """The operations on webhook secrets."""

    def __init__(self, table: WebhookSecretTable) -> None:
        self._table = table

    async def get(self, ask: Ask[Nothing, Nothing]) -> WebhookSecret:
        return WebhookSecret.model_validate((await self._table.get(_own(ask.asker, ask.id))).public())

    async def rotate(self, ask: Ask[Nothing, Nothing]) -> WebhookSecret:
        return WebhookSecret.model_validate((await self._table.rotate(_own(ask.asker, ask.id))).public())

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/customers/{id}/webhook_secret",
                tag="customers",
                summary="Read the secret that webhooks are signed with",
                detail="The signature is that of Standard Webhooks 1.0, whose libraries verify it with this secret.",
                query=Nothing,
                body=Nothing,
                result=WebhookSecret,
                handler=self.get,
            ),
            Operation(
                method="POST",
                path="/v1.0/customers/{id}/webhook_secret",
                tag="customers",
                summary="Replace the secret that webhooks are signed with",
                detail="For a day webhooks are signed with the one before too.",
                query=Nothing,
                body=Nothing,
                result=WebhookSecret,
                handler=self.rotate,
            ),
        ]


def _own(asker: Identity, customer_id: str) -> str:
    """The account, if it is the asker's or an admin asks. Raises NotFound."""
    if scope(asker) not in (None, customer_id):
        raise NotFound("there is no such customer", reason="CUSTOMER_NOT_FOUND")
    return customer_id
