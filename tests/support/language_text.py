"""The text that tiny language models are made from, and asked about; apart, for it needs no torch."""

TEXT = (
    "The capital of France is Paris.\nWhat is two and two? It is four.\n"
    "def add(a, b):\n    return a + b\n\nA red circle above two blue squares, and a green one below.\n"
)
