"""What pages may ask for: functions of one checked object, whose failures become one plain line on the page."""

from __future__ import annotations

import functools
import inspect
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ganvas.errors import UserError


class Ask(BaseModel):
    """What a page asks for. Nothing is converted, nothing unknown is let through, numbers are finite."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


Name = Annotated[str, Field(max_length=200)]
Line = Annotated[str, Field(max_length=500)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(ge=0, le=1)]

Action = Callable[[Any], dict[str, Any]]


def action(function: Callable[..., dict[str, Any]], *given: Any) -> Action:
    """A function that a page can call.

    Args:
        function: Of `given` and one `Ask`; its answer is a dictionary of JSON types.
        given: What comes before that, such as the studio.

    Returns:
        A function of what came from the page, whatever that is. It answers as `function` does, or with `error`, one
        plain line.
    """
    wanted = list(inspect.get_annotations(function, eval_str=True).values())[len(given)]
    assert issubclass(wanted, Ask)

    @functools.wraps(function)
    def called(asked: Any) -> dict[str, Any]:
        try:
            return function(*given, wanted.model_validate(asked))
        except ValidationError as error:
            return {"error": refusal(error)}
        except UserError as error:
            return {"error": " ".join(str(error).split())}
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            return {"error": f"this went wrong inside of ganvas: {type(error).__name__}; the terminal says where"}

    # Whoever looks at the function sees one argument; `wraps` would show those of `function`.
    parameter = inspect.Parameter("asked", inspect.Parameter.POSITIONAL_ONLY)
    called.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
    called.__annotations__ = {}
    del called.__wrapped__
    return called


def refusal(error: ValidationError) -> str:
    """One plain line for the first thing that is wrong; never what was given, which may be long or hostile."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part)[:40] for part in first["loc"])
    message = first["msg"][:1].lower() + first["msg"][1:]
    return f"{where}: {message[:200]}" if where else message[:200]
