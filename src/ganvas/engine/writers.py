"""TensorBoard and Weights & Biases: copies of what a run logs, for those who watch their runs there.

`stats.jsonl`, `metrics.jsonl` and `samples/` hold all of it without them. Steps that are made again, after a run was
killed or went back to a checkpoint, do not appear twice: TensorBoard is told to forget them; Weights & Biases cannot
take anything back, so what it was sent first stays, and the same step is not sent again.
"""

from __future__ import annotations

import importlib.util
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from PIL import Image

from ganvas.engine.files import write_atomically
from ganvas.engine.folder import one_line
from ganvas.errors import UserError

Name = Literal["tensorboard", "wandb"]


class Writer(Protocol):
    """Where numbers and pictures of a run go. May fail with any exception; `Log` then does without it."""

    name: str
    """For people to read."""

    def start_at(self, step: int) -> None:
        """Takes in that training starts or goes on after `step` steps: later ones are about to be made again."""
        ...

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Takes numbers, keyed `group/name`."""
        ...

    def picture(self, step: int, name: str, path: Path) -> None:
        """Takes a PNG file."""
        ...

    def close(self) -> None:
        """Writes or sends what is left."""
        ...


def check_writers(names: Sequence[Name]) -> None:
    """Makes sure, before any work, that the packages are there; imports none of them.

    Raises:
        UserError: If one is missing.
    """
    for name in names:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:  # a folder of that name, as wandb leaves behind, is no package
            raise UserError(f'--writers {name} needs a package that is missing: pip install "ganvas[{name}]"')


def open_writers(
    names: Sequence[Name],
    folder: Path,
    settings: Mapping[str, Any],
    note: Callable[[str], None],
    *,
    resumed: bool,
) -> list[Writer]:
    """Opens writers for one sitting of a run.

    Args:
        names: Which.
        folder: The run's; it is there already.
        settings: The run's, JSON types.
        note: Shows a line to the user.
        resumed: Whether the run goes on. Then a writer that does not start is left out with a note, as one
            that fails later is; a new run is refused, since somebody is there to put it right.

    Raises:
        UserError: If a package is missing, or a writer of a new run does not start.
    """
    check_writers(names)
    writers: list[Writer] = []
    for name in dict.fromkeys(names):
        try:
            if name == "tensorboard":
                writers.append(TensorBoard(folder / name, settings))
                note(f"TensorBoard: `tensorboard --logdir {folder}`")
            else:
                writer = WeightsAndBiases(folder, settings)
                writers.append(writer)
                note(f"Weights & Biases: {writer.where}")
        except Exception as error:
            if resumed:
                note(f"{name} does not start ({one_line(error)}): the run goes on without it")
                continue
            cure = " (`wandb login`, or WANDB_MODE=offline)" if name == "wandb" else ""
            raise UserError(
                f"{name} does not start ({one_line(error)}): put that right{cure}, then `ganvas resume {folder}`"
            ) from error
    return writers


class TensorBoard:
    """Event files in `tensorboard/`, one for each sitting.

    Written event by event with TensorBoard's own encoder: its asynchronous writer would report a full disk as the
    traceback of a thread.
    """

    name = "TensorBoard"

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Starts a file, the first with the settings as a text.

        Raises:
            OSError: If it cannot be written.
        """
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._session, self._summary = event_pb2.Event, event_pb2.SessionLog, summary_pb2.Summary
        folder.mkdir(exist_ok=True)
        new = not any(folder.iterdir())
        # TensorBoard reads the files in the order of their names.
        self._file = (folder / f"events.out.tfevents.{time.time_ns()}").open("xb")
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        if new:
            self._write(step=0, summary=self._text("settings", settings))

    def start_at(self, step: int) -> None:
        """Makes TensorBoard forget what comes after `step`, in this file and earlier ones."""
        self._write(step=step + 1, session_log=self._session(status=self._session.START))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers; TensorBoard keeps them as float32."""
        numbers = [self._summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(step=step, summary=self._summary(value=numbers))

    def picture(self, step: int, name: str, path: Path) -> None:
        """Writes the PNG file as it is."""
        with Image.open(path) as image:
            (width, height), channels = image.size, len(image.getbands())
        png = self._summary.Image(
            width=width, height=height, colorspace=channels, encoded_image_string=path.read_bytes()
        )
        self._write(step=step, summary=self._summary(value=[self._summary.Value(tag=name, image=png)]))

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def _text(self, name: str, values: Mapping[str, Any]) -> Any:
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

        lines = json.dumps(values, indent=2, ensure_ascii=False).splitlines()
        code = "".join(f"    {line}\n" for line in lines)  # indented by four, Markdown leaves it as it is
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        text = TensorProto(dtype="DT_STRING", string_val=[code.encode()], tensor_shape=shape)
        value = self._summary.Value(tag=name, tensor=text)
        value.metadata.plugin_data.plugin_name = "text"
        return self._summary(value=[value])

    def _write(self, **fields: Any) -> None:
        self._records.write(self._event(wall_time=time.time(), **fields).SerializeToString())
        self._file.flush()


class WeightsAndBiases:
    """One Weights & Biases run, files in `wandb/`; a sitting that goes on adds to it.

    Numbers are drawn over `step`, a number of our own: Weights & Biases' own count of rows only ever rises, and
    would refuse what comes late. `wandb/sent.json` remembers the run's name there and the last step of each number
    and picture. A process that is killed loses what its last 15 seconds sent.

    The environment variables of Weights & Biases hold: WANDB_MODE, WANDB_PROJECT, WANDB_ENTITY, ...
    """

    name = "Weights & Biases"

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Starts or goes on with the run.

        Raises:
            Exception: Whatever Weights & Biases raises if there is no login or no answer.
        """
        import wandb

        self._image = wandb.Image
        self._memory = folder.absolute() / "wandb" / "sent.json"
        again = self._memory.exists()
        memory: dict[str, Any] = {"id": uuid.uuid4().hex[:12], "sent": {}}
        if again:
            memory = json.loads(self._memory.read_text())
        self._id: str = memory["id"]
        self._sent: dict[str, int] = memory["sent"]
        self.run = wandb.init(
            dir=folder.absolute(),
            id=self._id,
            resume="allow" if again else None,
            project=os.environ.get("WANDB_PROJECT", "ganvas"),
            name=os.environ.get("WANDB_NAME", folder.absolute().name),
            config=dict(settings),
            allow_val_change=True,  # a resumed run may have more steps
            settings=wandb.Settings(console="off", silent=True),  # the terminal is the log's
        )
        self.run.define_metric("*", step_metric="step")
        self._remember()

    @property
    def where(self) -> str:
        """How to look at the run."""
        # `url` of an offline run warns on the terminal.
        return f"`wandb sync {self._memory.parent}/offline-run-*`" if self.run.offline else str(self.run.url)

    def start_at(self, step: int) -> None:
        """Nothing: what was sent stays, and is not sent again."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Sends those that were not sent for this step or a later one."""
        self._send(step, dict(values))

    def picture(self, step: int, name: str, path: Path) -> None:
        """Sends a picture unless it was sent for this step or a later one."""
        self._send(step, {name: self._image(str(path))})

    def close(self) -> None:
        """Waits until everything is sent."""
        self.run.finish()

    def _send(self, step: int, values: Mapping[str, Any]) -> None:
        fresh = {name: value for name, value in values.items() if step > self._sent.get(name, -1)}
        if fresh:
            self.run.log({"step": step, **fresh})
            self._sent.update(dict.fromkeys(fresh, step))
            self._remember()

    def _remember(self) -> None:
        write_atomically(self._memory, json.dumps({"id": self._id, "sent": self._sent}).encode())
