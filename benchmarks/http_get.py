"""Gets a small document from a server, apart from any measurement."""

import http.client

from benchmarks.client import Target

_TIMEOUT_S = 5.0


def get(target: Target, path: str) -> tuple[int, bytes]:
    """The status and body of GET. Raises: OSError or http.client.HTTPException when none came."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=_TIMEOUT_S)
    headers = {"authorization": f"Bearer {target.token}"} if target.token else {}
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
