"""text-generation's Client against a server whose only place is taken."""

from text_generation import Client

from tests.clients.calls.report import Calls, report


def calls(url: str, token: str) -> Calls:
    client = Client(url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    return {"generate": lambda: client.generate("a").model_dump()}


if __name__ == "__main__":
    report(calls)
