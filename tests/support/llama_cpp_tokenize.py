"""Tokenizes texts with llama.cpp's server: a program for the environment that has it.

Arguments: a file that holds {"models": [path, ...], "texts": [text, ...]}, and one to write the ids to.
"""

import json
import os
import sys
import urllib.request
from pathlib import Path

import xllamacpp

END = -1  # no token; the server hands numbers among the texts back as they are


def ids(model: str, texts: list[str]) -> list[list[int]]:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.n_ctx, parameters.n_parallel = 64, 1
    parameters.warmup = parameters.fit_params = False
    server = xllamacpp.Server(parameters)
    content = [item for text in texts for item in (text, END)]
    request = urllib.request.Request(
        f"{server.listening_address}/tokenize",
        json.dumps({"content": content, "add_special": False, "parse_special": True}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        tokens = json.load(answer)["tokens"]
    found: list[list[int]] = [[]]
    for token in tokens:
        if token == END:
            found.append([])
        else:
            found[-1].append(token)
    return found[:-1]


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    found = [ids(model, asked["texts"]) for model in asked["models"]]
    Path(sys.argv[2]).write_text(json.dumps(found))
    os._exit(0)  # the servers' threads would keep it
