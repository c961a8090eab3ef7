"""How a system is trained: everything about a run that is neither the system's mathematics nor its data."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

Precision = Literal["auto", "fp32", "bf16"]
Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True))
class Training:
    """Settings of the training loop, the same for every system."""

    steps: PositiveInt = 10_000
    """Steps of training in all, resumed ones included; one step makes every update of the system."""

    batch: PositiveInt = 64
    """Pictures a step, over all micro-batches and all processes together."""

    micro_batch: NonNegativeInt = 0
    """Pictures that pass through the networks at once; gradients of several add up to one step.

    Smaller needs less memory. 0: all of a process's pictures.
    """

    seed: NonNegativeInt = 0
    """Start of all random numbers; the same seed gives the same run."""

    precision: Precision = "auto"
    """Number format inside the networks; weights and losses stay fp32. auto: bf16 where it is faster."""

    device: Device = "auto"
    """Where to compute. auto: an NVIDIA GPU, else an Apple GPU, else the processor."""

    ema: float = 0.999
    """Decay a step, 0 to 1, of the moving average of the weights that pictures are sampled from."""

    ema_start: NonNegativeInt = 0
    """Step before which the moving average simply equals the weights."""

    log_every: PositiveInt = 50
    """Steps between two lines of stats.jsonl and of the progress shown."""

    grid_every: NonNegativeInt = 500
    """Steps between two grids of samples in samples/. 0: only at the start and the end."""

    grid_images: PositiveInt = 64
    """Pictures in a grid of samples."""

    checkpoint_every: PositiveInt = 500
    """Steps between two checkpoints; a killed run repeats at most so many."""

    keep: PositiveInt = 2
    """Checkpoints kept, the newest ones; the one with the best score is kept as well."""

    score_every: Literal["auto"] | NonNegativeInt = "auto"
    """Steps between two scores of samples against the data, in metrics.jsonl. 0: never.

    auto: at checkpoints, as often as scoring stays within `score_share` of the run's time.
    """

    score_share: float = 0.08
    """Most that `score_every auto` may take of the run's time, 0 to 1."""

    score_metrics: tuple[str, ...] = ("kd",)
    """What is scored, as in `ganvas evaluate --metrics`; the first decides which checkpoint is best."""

    score_features: str = "efficientnet_lite0"
    """Feature network of the scores, as in `ganvas evaluate --features`."""

    score_samples: PositiveInt = 1000
    """Samples that a score is computed from, against at most as many pictures of the data."""

    patience: NonNegativeInt = 0
    """Stop when so many scores in a row are no better than the best. 0: never."""

    writers: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Where to send numbers, scores and grids as well."""

    retries: NonNegativeInt = 3
    """How often a run whose losses are not finite goes back to its last checkpoint before it gives up."""

    compile: bool = False
    """Compile the networks: slower to start, faster on a GPU. Not with penalties on gradients."""

    threads: NonNegativeInt = 0
    """Processor threads to compute with. 0: what PyTorch chooses."""

    def __post_init__(self) -> None:
        """Refuses settings that contradict each other.

        Raises:
            ValueError: If `ema` or `score_share` is outside [0, 1], or scores are waited for that are never taken.
        """
        if not 0 <= self.ema <= 1:
            raise ValueError(f"ema is a decay between 0 and 1, not {self.ema}")
        if not 0 <= self.score_share <= 1:
            raise ValueError(f"score_share is a share of the run's time, 0 to 1, not {self.score_share}")
        if self.score_every == 0 and self.patience:
            raise ValueError("patience counts scores, and score_every 0 takes none")
        if self.score_every != 0 and not self.score_metrics:
            raise ValueError("score_metrics names no metric: name one, or take no scores with score_every 0")
