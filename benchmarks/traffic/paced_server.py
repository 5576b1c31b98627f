"""A server of known latencies: each completion's tokens come at set times, however many run.

It is run as a program, prints its port, and ends with its standard input.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from benchmarks.client import Target
from benchmarks.errors import BenchmarkError

FIRST_S = 0.2
EACH_S = 0.02
MODEL = "paced"
_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@contextmanager
def paced_server() -> Iterator[Target]:
    """Run one meanwhile. Raises: BenchmarkError when it doesn't start."""
    command = [sys.executable, "-m", "benchmarks.traffic.paced_server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    ) as process:
        line = process.stdout.readline() if process.stdout else ""
        if not line.strip().isdecimal():
            raise BenchmarkError("the paced server did not start")
        yield Target(host="127.0.0.1", port=int(line), token="")
        process.communicate()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            came_s = time.monotonic()
            if not head.startswith(b"post"):
                writer.write(_whole({"data": [{"id": MODEL}]}))
                continue
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            await _complete(json.loads(await reader.readexactly(length)), writer, came_s)
    writer.close()


async def _complete(body: dict[str, object], writer: asyncio.StreamWriter, came_s: float) -> None:
    tokens = int(str(body["max_tokens"]))
    writer.write(_STREAM)
    for number in range(tokens):
        await asyncio.sleep(came_s + FIRST_S + number * EACH_S - time.monotonic())
        writer.write(_event({"choices": [{"index": 0, "text": " word", "finish_reason": None}]}))
    prompt_tokens = len(str(body["prompt"]).split())
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": tokens,
        "total_tokens": prompt_tokens + tokens,
    }
    writer.write(_event({"choices": [{"index": 0, "text": "", "finish_reason": "length"}]}))
    writer.write(_event({"choices": [], "usage": usage}) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    await writer.drain()


def _event(event: object) -> bytes:
    return _chunk(b"data: " + json.dumps(event).encode() + b"\n\n")


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _whole(content: object) -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _run() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_run())
