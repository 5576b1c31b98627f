"""The demo vision model tiny-shapes-vlm: it knows coloured shapes and nothing else."""
