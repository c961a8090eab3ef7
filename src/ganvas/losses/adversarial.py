"""The adversarial loss: a discriminator, an objective, and whatever is put on top of the two.

It knows nothing of ganvas' training loop. In a plain PyTorch loop, with a generator of one's own:

    >>> import torch
    >>> from ganvas.discriminators.unet import UNetDiscriminator
    >>> from ganvas.losses import AdversarialLoss
    >>> generator = torch.nn.Sequential(torch.nn.Linear(8, 3 * 32 * 32), torch.nn.Unflatten(1, (3, 32, 32)))
    >>> discriminator = UNetDiscriminator(32, width=4)
    >>> loss = AdversarialLoss(discriminator, "hinge", cutmix=0.5, consistency=1.0)
    >>> d_optimizer = torch.optim.Adam(discriminator.parameters(), 1e-3, betas=(0.0, 0.99))
    >>> g_optimizer = torch.optim.Adam(generator.parameters(), 1e-3, betas=(0.0, 0.99))
    >>> for real in [torch.rand(4, 3, 32, 32) * 2 - 1] * 2:
    ...     fake = generator(torch.randn(4, 8))
    ...     d_optimizer.zero_grad()
    ...     sum(loss.discriminator_terms(real, fake).values()).backward()
    ...     d_optimizer.step()
    ...     g_optimizer.zero_grad()
    ...     sum(loss.generator_terms(fake).values()).backward()
    ...     g_optimizer.step()
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from ganvas.discriminators import Condition, Verdict
from ganvas.errors import UserError
from ganvas.losses.cutmix import cutmix_mask, mix
from ganvas.losses.history import History
from ganvas.losses.objectives import ObjectiveName, objective
from ganvas.losses.penalties import Discriminator, gradient_penalty, zero_centred_penalty
from ganvas.nn.dtypes import at_least_float32
from ganvas.nn.weights import is_reference, update_scope, weight_scope

Images = Float[Tensor, "B C H W"]
Terms = dict[str, Tensor]
Probability = Annotated[float, Field(ge=0, le=1)]


class AdversarialLoss(nn.Module):
    """What a discriminator and a generator minimise against each other.

    Every head of the discriminator counts equally; the loss of a head is the mean over its logits, one a picture, a
    patch or a pixel. Terms are named after the heads, weighted, scalar, float32, and meant to be added.

    The discriminator is held, not registered: `parameters()` and `state_dict()` of the loss are its own, so that a
    model that holds both saves the discriminator once. What it has to keep is how often it was called, and the history.

    Args:
        discriminator: Pictures (B, C, H, W) and a condition in, a `Verdict` out.
        objective: See `ganvas.losses.objectives`.
        cutmix: Probability of a CutMix step, p_mix (Schönfeld et al. 2020, section 3.2); 0 is none. Needs a head with
            a logit for every pixel.
        cutmix_loss: Weight of the CutMix term; 0 leaves the consistency term alone.
        cutmix_mode: `replace`: a CutMix step has the CutMix and consistency terms only (published for FFHQ and
            COCO-Animals); `add`: they are added to the ordinary ones (published for CelebA).
        cutmix_warmup: Steps over which `replace` raises p_mix, and `add` the weight of the CutMix term on heads that
            judge the whole picture, from 0.
        consistency: Weight of the consistency term, lambda (eq. 9).
        r1: Weight gamma of the gradient penalty on real pictures (Mescheder et al. 2018).
        r2: The same on generated pictures.
        gradient_penalty: Weight of the penalty on the gradient norm between them (Gulrajani et al. 2017).
        penalty_every: Penalties are computed every so many steps, and weighted so much more (Karras et al. 2020).
        history: Generated pictures of earlier steps that are kept, B; half of those that the discriminator is shown
            are drawn from them (Shrivastava et al. 2017, section 2.3); 0 is none.
        feature_matching: Weight of the distance between the mean features of real and of generated pictures, in what
            the generator minimises: of each layer the mean of (mean real - mean generated)^2, summed over layers
            (Salimans et al. 2016, section 3.1; as in DiscoGAN's published code).
        first_matched: The first layer of the discriminator whose features are matched, counted from 1.
        augment: Applied to real and generated pictures before the discriminator, such as `ganvas.augment.DiffAugment`.
        mismatched: Of what the discriminator is to reject, the share of real pictures with a condition that is not
            theirs (Reed et al. 2016, algorithm 1: a half), where those are given; the rest are generated ones.
        discriminator_weight: Factor on the discriminator's adversarial terms (one half in several papers' code).
        generator_weight: Factor on the generator's.

    Raises:
        ValueError: There is no such objective.
        UserError: An impossible value, or settings that exclude each other.
    """

    calls: Tensor
    discriminator: Discriminator
    augment: Callable[[Images], Images]

    def __init__(
        self,
        discriminator: nn.Module,
        objective: ObjectiveName = "non-saturating",
        *,
        cutmix: float = 0.0,
        cutmix_loss: float = 1.0,
        cutmix_mode: Literal["replace", "add"] = "replace",
        cutmix_warmup: int = 0,
        consistency: float = 0.0,
        r1: float = 0.0,
        r2: float = 0.0,
        gradient_penalty: float = 0.0,
        penalty_every: int = 1,
        history: int = 0,
        feature_matching: float = 0.0,
        first_matched: int = 1,
        augment: Callable[[Images], Images] | None = None,
        mismatched: float = 0.5,
        discriminator_weight: float = 1.0,
        generator_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.objective = _objective(objective)
        if not 0 <= cutmix <= 1:
            raise UserError(f"cutmix is a probability between 0 and 1, not {cutmix}")
        if cutmix_mode not in ("replace", "add"):
            raise UserError(f"cutmix_mode is 'replace' or 'add', not {cutmix_mode!r}")
        if consistency and not cutmix:
            raise UserError("consistency is computed on CutMix pictures: give cutmix above 0, or consistency 0")
        if penalty_every < 1:
            raise UserError(f"penalty_every is a number of steps from 1 up, not {penalty_every}")
        if cutmix and self.objective.relative:
            raise UserError(
                f"CutMix judges pictures one by one, which {objective} does not: choose another objective, or cutmix 0"
            )
        if history < 0 or first_matched < 1:
            raise UserError(
                f"history ({history}) is a number of pictures, first_matched ({first_matched}) of a layer from 1"
            )
        if not 0 <= mismatched <= 1:
            raise UserError(f"mismatched is a share between 0 and 1, not {mismatched}")
        if history and gradient_penalty:
            raise UserError(
                "the gradient penalty lies between pictures of one batch: give gradient_penalty 0, or history 0"
            )
        self.__dict__["discriminator"] = discriminator  # held without being registered, see above
        self.cutmix, self.cutmix_loss, self.cutmix_mode = cutmix, cutmix_loss, cutmix_mode
        self.cutmix_warmup, self.consistency = cutmix_warmup, consistency
        self.r1, self.r2, self.gradient_penalty, self.penalty_every = r1, r2, gradient_penalty, penalty_every
        self.augment = augment or (lambda images: images)
        self.discriminator_weight, self.generator_weight = discriminator_weight, generator_weight
        self.mismatched = mismatched
        self.history = History(history) if history else None
        self.feature_matching, self.first_matched = feature_matching, first_matched
        # Batch norm couples the pictures of a forward pass: real and generated ones then go in separately.
        batch_norm = nn.modules.batchnorm._BatchNorm
        self._together = not any(isinstance(module, batch_norm) for module in discriminator.modules())
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def discriminator_terms(
        self,
        real: Images,
        fake: Images,
        condition: Condition | None = None,
        mismatched: Condition | None = None,
        *,
        step: int | None = None,
    ) -> Terms:
        """What the discriminator minimises.

        Args:
            real: Real pictures, (B, C, H, W) in [-1, 1].
            fake: Generated ones of the same shape; no gradient flows into them.
            condition: Of both.
            mismatched: Conditions that are not those of the real pictures, which are to be rejected with them: the
                generated pictures then weigh 1 - `mismatched` (GAN-CLS). None leaves them whole.
            step: Number of the step, for warm-up and lazy penalties; calls are counted without it.

        Returns:
            A term for each head; `mismatched_HEAD`, `cutmix_HEAD`, `consistency`, `r1`, `r2`, `gradient_penalty` where
            they are due.

        Raises:
            UserError: CutMix with a discriminator that has no logit for every pixel.
        """
        if step is None:
            step = int(self.calls)
            self.calls += 1
        given = condition
        fake = fake.detach()
        if self.history is not None:
            fake, given = self.history(fake, condition)
        real, fake = self.augment(real), self.augment(fake)
        warm = min(1.0, step / self.cutmix_warmup) if self.cutmix_warmup else 1.0
        probability = self.cutmix * (warm if self.cutmix_mode == "replace" else 1.0)
        mixed = probability > 0 and torch.rand(()).item() < probability  # drawn on the CPU: no device is waited for
        with update_scope(), weight_scope():
            terms: Terms
            if mixed:
                terms = self._mixed_terms(real, fake, condition, given, mismatched, warm)
            elif mismatched is None:
                terms = self._plain_terms(*self._judge([real, fake], [condition, given]))
            else:
                terms = self._plain_terms(*self._judge([real, fake, real], [condition, given, mismatched]))
            return terms | self._penalties(real, fake, condition, given, step)

    def generator_terms(self, fake: Images, condition: Condition | None = None, real: Images | None = None) -> Terms:
        """What the generator minimises; gradients reach it through `fake`.

        Args:
            fake: Generated pictures, (B, C, H, W) in [-1, 1].
            condition: Of the pictures.
            real: Real pictures, which a relativistic objective compares with and feature matching matches.

        Returns:
            A term for each head; `feature_matching` if there is any.

        Raises:
            ValueError: `real` is missing and needed.
            UserError: Feature matching with a discriminator that has no such layer.
        """
        fake = self.augment(fake)
        comparing = self.objective.relative or self.feature_matching > 0
        if comparing and real is None:
            raise ValueError("relativistic objectives and feature matching need generator_terms(..., real=real)")
        with update_scope(), weight_scope():
            if not comparing or real is None:
                (verdict,) = self._judge([fake], [condition])
            elif self.objective.relative:
                verdict, other = self._judge([fake, self.augment(real)], [condition, condition])
            else:
                (verdict,) = self._judge([fake], [condition])
                with torch.no_grad():  # nothing of the generator's is behind the real pictures
                    (other,) = self._judge([self.augment(real)], [condition])
        logits = verdict.heads
        if self.objective.relative:
            logits = {name: verdict.heads[name] - other.heads[name] for name in verdict.heads}
        terms = {
            name: self.generator_weight * self.objective.generator(at_least_float32(head)).mean()
            for name, head in logits.items()
        }
        if self.feature_matching:
            terms["feature_matching"] = self.feature_matching * self._feature_distance(verdict, other)
        return terms

    def _feature_distance(self, fake: Verdict, real: Verdict) -> Tensor:
        layers = list(zip(fake.features, real.features, strict=True))[self.first_matched - 1 :]
        if not layers:
            raise UserError(
                f"this discriminator shows the features of {len(fake.features)} layers: give first_matched "
                f"({self.first_matched}) as one of them, or feature_matching 0"
            )
        means = [(at_least_float32(a).mean(0), at_least_float32(b).mean(0)) for a, b in layers]
        return torch.stack([F.mse_loss(a, b) for a, b in means]).sum()

    def _judge(self, groups: list[Images], conditions: list[Condition | None]) -> list[Verdict]:
        """The verdict on each group of B pictures; in one forward pass where that changes nothing.

        A discriminator whose first part sees pictures alone (`encode`, then `decide`) sees the same ones once.
        """
        network: Any = self.discriminator
        if hasattr(network, "encode") and not is_reference():
            encoded = {id(images): images for images in groups}
            encoded = {key: network.encode(images) for key, images in encoded.items()}
            return [
                network.decide(encoded[id(images)], given) for images, given in zip(groups, conditions, strict=True)
            ]
        if not self._together or len(groups) == 1:
            return [self.discriminator(*pair) for pair in zip(groups, conditions, strict=True)]
        condition = conditions[0]
        for other in conditions[1:]:
            condition = None if condition is None or other is None else condition.joined(other)
        verdict: Verdict = self.discriminator(torch.cat(groups), condition)
        return verdict.split([len(images) for images in groups])

    def _plain_terms(self, real: Verdict, fake: Verdict, mismatched: Verdict | None = None) -> Terms:
        rest = self.mismatched if mismatched is not None else 0.0
        terms = {}
        for name in real.heads:
            on_real, on_fake = at_least_float32(real.heads[name]), at_least_float32(fake.heads[name])
            if self.objective.relative:
                loss = (1 - rest) * self.objective.real(on_real - on_fake).mean()
            else:
                loss = self.objective.real(on_real).mean() + (1 - rest) * self.objective.fake(on_fake).mean()
            terms[name] = self.discriminator_weight * loss
            if mismatched is not None:
                on_other = at_least_float32(mismatched.heads[name])
                relative = self.objective.relative
                other = self.objective.real(on_real - on_other) if relative else self.objective.fake(on_other)
                terms[f"mismatched_{name}"] = self.discriminator_weight * rest * other.mean()
        return terms

    def _mixed_terms(
        self,
        real: Images,
        fake: Images,
        condition: Condition | None,
        given: Condition | None,
        mismatched: Condition | None,
        warm: float,
    ) -> Terms:
        """CutMix and consistency (Schönfeld et al. 2020, section 3.2), with the ordinary terms in mode `add`."""
        if given is not condition:
            raise UserError("pictures of other conditions cannot be mixed: give history 0, or cutmix 0")
        mask = cutmix_mask(len(real), real.shape[2], real.shape[3], real.device)
        groups = [mix(real, fake, mask)]
        adding = self.cutmix_mode == "add"
        if adding or self.consistency:
            groups += [real, fake]
        conditions = [condition] * len(groups)
        if adding and mismatched is not None:
            groups, conditions = [*groups, real], [*conditions, mismatched]
        verdicts = self._judge(groups, conditions)
        per_pixel = [name for name, head in verdicts[0].heads.items() if head.shape == mask.shape]
        if not per_pixel:
            raise UserError("CutMix needs a discriminator with a logit for every pixel, such as the U-Net's")
        terms = self._plain_terms(*verdicts[1:]) if adding else {}
        for name, head in verdicts[0].heads.items():
            logits = at_least_float32(head)
            if name in per_pixel:  # the decoder's target is the mask
                loss = torch.where(mask.bool(), self.objective.real(logits), self.objective.fake(logits)).mean()
            else:  # as a whole a mixed picture is fake, however little of it is
                loss = self.objective.fake(logits).mean() * (warm if adding else 1.0)
            if self.cutmix_loss:
                terms[f"cutmix_{name}"] = self.cutmix_loss * loss
        if self.consistency:  # eq. 8, on logits; the gradient flows through both sides
            losses = [
                F.mse_loss(
                    at_least_float32(verdicts[0].heads[name]),
                    mix(at_least_float32(verdicts[1].heads[name]), at_least_float32(verdicts[2].heads[name]), mask),
                )
                for name in per_pixel
            ]
            terms["consistency"] = self.consistency * torch.stack(losses).mean()
        return terms

    def _penalties(
        self, real: Images, fake: Images, condition: Condition | None, given: Condition | None, step: int
    ) -> Terms:
        if step % self.penalty_every:
            return {}
        terms = {}
        if self.r1:
            terms["r1"] = self.r1 * zero_centred_penalty(self.discriminator, real, condition)
        if self.r2:
            terms["r2"] = self.r2 * zero_centred_penalty(self.discriminator, fake, given)
        if self.gradient_penalty:
            terms["gradient_penalty"] = self.gradient_penalty * gradient_penalty(
                self.discriminator, real, fake, condition
            )
        return {name: self.penalty_every * term for name, term in terms.items()}


_objective = objective  # the argument of the same name hides the function in __init__
