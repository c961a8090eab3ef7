"""What pages may ask for, checked before anything is done with it."""

import math

import pytest

from ganvas.errors import UserError
from ganvas.studio.actions import Ask, Name, Seed, action
from ganvas.studio.studio import named


class Wish(Ask):
    run: Name
    seed: Seed = 0
    share: float = 0.0


def grant(prefix: str, asked: Wish) -> dict:
    """Answers with what was asked; some names fail."""
    if asked.run == "user":
        raise UserError("two\nlines  of it")
    if asked.run == "bug":
        raise KeyError("/secret/path")
    return {"got": f"{prefix}{asked.run}{asked.seed}"}


def test_a_checked_object_reaches_the_function():
    assert action(grant, ">")({"run": "a", "seed": 3}) == {"got": ">a3"}


@pytest.mark.parametrize(
    "asked",
    [
        None,
        [],
        "text",
        5,
        {},
        {"run": 1},
        {"run": None},
        {"run": "a", "seed": -1},
        {"run": "a", "seed": 2**31},
        {"run": "a", "seed": 10**400},
        {"run": "a", "seed": 1.5},
        {"run": "a", "seed": "1"},
        {"run": "a", "seed": True},
        {"run": "a", "share": math.nan},
        {"run": "a", "share": math.inf},
        {"run": "a", "more": 1},
        {"run": "x" * 201},
        {"run": {"$ne": ""}},
        {"__class__": "a"},
        {"run": ["a"]},
    ],
)
def test_what_is_no_such_object_is_refused_in_one_line(asked):
    answer = action(grant, ">")(asked)
    assert [*answer] == ["error"] and answer["error"] and "\n" not in answer["error"] and len(answer["error"]) < 300


def test_failures_become_one_line_and_bugs_keep_their_secrets(capsys):
    assert action(grant, ">")({"run": "user"}) == {"error": "two lines of it"}
    assert "secret" not in action(grant, ">")({"run": "bug"})["error"]
    assert "/secret/path" in capsys.readouterr().err


def test_runs_are_called_by_as_much_of_their_path_as_tells_them_apart(tmp_path):
    a, b, c = tmp_path / "x" / "seed-0", tmp_path / "y" / "seed-0", tmp_path / "y" / "seed-1"
    assert list(named([a, c])) == ["seed-0", "seed-1"]
    assert named([a, b, a]) == {"x/seed-0": a, "y/seed-0": b}
    assert named([]) == {}
