"""A server that speaks S3, written by others (moto), on a port of its own; which checks signatures."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "recordings"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


class Bucket:
    """The server, a bucket in it, and the key of one who may use it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.access = self.secret = ""

    def client(self, service: str) -> Any:
        """What others ask it with."""
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=self.access or "anybody",
            aws_secret_access_key=self.secret or "anything",
        )

    def tell(self, path: str, body: bytes = b"") -> None:
        """Say something to the server itself."""
        request = urllib.request.Request(f"{self.url}/moto-api/{path}", body, {"Content-Type": "text/plain"})
        urllib.request.urlopen(request, timeout=5).close()

    def furnish(self) -> None:
        self.tell("reset")  # servers of one process share what they have
        self.tell("reset-auth", b"inf")
        self.client("s3").create_bucket(Bucket=BUCKET)
        iam = self.client("iam")
        iam.create_user(UserName="edge")
        iam.put_user_policy(UserName="edge", PolicyName="all", PolicyDocument=json.dumps(POLICY))
        key = iam.create_access_key(UserName="edge")["AccessKey"]
        self.access, self.secret = key["AccessKeyId"], key["SecretAccessKey"]
        self.tell("reset-auth", b"0")  # from now on only who signs rightly is served

    def options(self, **more: Any) -> dict[str, Any]:
        """The section that leads here."""
        return {
            "kind": "s3",
            "endpoint": self.url,
            "bucket": BUCKET,
            "access_key": self.access,
            "secret_key": self.secret,
            **more,
        }

    def object(self, key: str) -> tuple[bytes, str]:
        """What is under a key, and its content type. Raises KeyError."""
        client = self.client("s3")
        try:
            found = client.get_object(Bucket=BUCKET, Key=key)
        except client.exceptions.NoSuchKey:
            raise KeyError(key) from None
        return found["Body"].read(), found["ContentType"]

    def keys(self) -> list[str]:
        return [found["Key"] for found in self.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])]


@contextmanager
def bucket() -> Iterator[Bucket]:
    """A bucket with nothing in it."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        made = Bucket(f"http://{host}:{port}")
        made.furnish()
        yield made
    finally:
        server.stop()
