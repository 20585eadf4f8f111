"""A server of the S3 protocol on loopback: moto's, which keeps its buckets in memory."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from moto.server import ThreadedMotoServer

BUCKET = "bucket"


class S3Server:
    """A running server.

    Attributes:
        address: Its URL.
        settings: Environment variables under which S3 clients find it.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.settings = {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def empty_bucket(self) -> str:
        """URI of a bucket, the server's only one, with nothing in it."""
        for path, method in (("moto-api/reset", "POST"), (BUCKET, "PUT")):
            request = urllib.request.Request(f"{self.address}/{path}", method=method)
            urllib.request.urlopen(request).close()
        return f"s3://{BUCKET}"


@contextmanager
def running_s3() -> Iterator[S3Server]:
    """A server that lives as long as the context."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield S3Server(f"http://{host}:{port}")
    finally:
        server.stop()
