"""Boxes and keypoints follow their pictures: dots and rectangles are drawn, moved with them, and found again."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganvas.data import DataOptions, Described, check_data, open_data, open_pictures, prepare_data
from ganvas.data.decode import TURNS
from ganvas.data.places import as_array, box_of, cut_boxes, mirrored_boxes, partners, points_of
from ganvas.data.source import Unusable
from ganvas.errors import UserError

PARTS = ("left eye", "beak", "right eye")
"""The dot of each is drawn in a colour that only one channel shows."""

NEEDS = frozenset({"image", "boxes", "keypoints"})
DOT = 6
Row = dict[str, Any]


def drawn(
    folder: Path, *, size: tuple[int, int] = (120, 90), count: int = 12, unit: str = "pixels", named: bool = True,
    orientation: int = 1, seed: int = 0,
) -> list[Row]:  # fmt: skip
    """Pictures of three dots, with keypoints at the centres and the box around them; the rows of the metadata."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    width, height = size
    rows = []
    for i in range(count):
        pixels = np.full((height, width, 3), 255, np.uint8)
        # Apart from each other, so that a dot is whole.
        corners = [(int(random.integers(0, width - DOT)), int(random.integers(0, height - DOT))) for _ in PARTS]
        for channel, (x, y) in enumerate(corners):
            pixels[y : y + DOT, x : x + DOT, channel] = 0
        picture = Image.fromarray(pixels)
        if orientation > 1:  # stored turned, so that a reader who heeds EXIF sees what was drawn
            back = {6: 8, 8: 6}.get(orientation, orientation)
            picture = picture.transpose(TURNS[back])
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture.save(folder / f"{i:02d}.png", exif=exif)
        by = np.array(size if unit == "relative" else (1, 1))
        points = [[*(np.array(corner) + DOT / 2) / by, 1] for corner in corners]
        low, high = np.min(corners, axis=0), np.max(corners, axis=0) + DOT
        rows.append({
            "file_name": f"{i:02d}.png", "bbox": [*low / by, *(high - low) / by],
            "keypoints": dict(zip(PARTS, points, strict=True)) if named else points,
        })  # fmt: skip
    write(folder, rows)
    return rows


def write(folder: Path, rows: list[Row]) -> None:
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")


def dot(image: np.ndarray, channel: int) -> np.ndarray | None:
    """The centre (x, y) of a dot in pixels of a picture (3, H, W) in [-1, 1]; None if it is not there as a whole."""
    ink = (1 - image[channel]) / 2
    ink[ink < 0.1] = 0  # what a filter rings
    if ink[:, :1].any() or ink[:, -1:].any() or ink[:1].any() or ink[-1:].any() or not ink.any():
        return None
    rows, columns = np.indices(ink.shape) + 0.5
    return np.array([(ink * columns).sum(), (ink * rows).sum()]) / ink.sum()


def compare(images: np.ndarray, keypoints: np.ndarray, *, mirrored: np.ndarray | None = None) -> int:
    """Each dot that is whole lies at its keypoint, to a tenth of a pixel; how many these are."""
    found = 0
    size = images.shape[2]
    for i, (image, points) in enumerate(zip(images, keypoints, strict=True)):
        for k in range(3):
            # In a mirrored picture the dot of the left eye is where its right eye is.
            channel = 2 - k if mirrored is not None and mirrored[i] else k
            centre = dot(image.copy(), channel)
            if centre is None:
                continue
            found += 1
            assert points[k, 2] == 1
            assert abs(points[k, :2] * size - centre).max() < 0.1, (i, k)
    return found


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(120, 90), (90, 121), (96, 96)])
@pytest.mark.parametrize(("unit", "named"), [("pixels", True), ("relative", True), ("pixels", False)])
def test_keypoints_lie_on_their_dots(
    tmp_path: Path, options: DataOptions, fit: Any, size: tuple[int, int], unit: str, named: bool
) -> None:
    """Whatever the fit, the unit and the form, in the middle square and in batches that are not mirrored."""
    drawn(tmp_path / "in", size=size, unit=unit, named=named)
    options = replace(options, fit=fit, flip=False, parts=() if named else PARTS)
    data = open_data(tmp_path / "in", options, size=48, needs=NEEDS)
    assert isinstance(data, Described) and len(data) == 12 - len(data.lost)
    order = [data.parts.index(part) for part in PARTS]
    images = data.pictures.images[data.rows].transpose(0, 3, 1, 2) / 127.5 - 1
    keypoints = data.conditions(range(len(data)))["keypoints"].numpy()
    assert compare(images, keypoints[:, order]) > (24 if fit != "crop" else 15)
    batch = data.sampler(batch=len(data), seed=1, options=options, device="cpu", size=48).batch(0)
    compare(batch["image"].numpy(), batch["keypoints"].numpy()[:, order])


@pytest.mark.parametrize("flip", [False, True])
def test_random_squares_and_mirrors_are_those_of_the_picture(tmp_path: Path, options: DataOptions, flip: bool) -> None:
    """Prepared at 64 and cut to 48: dots are found in the batches again, those of the eyes exchanged when mirrored."""
    drawn(tmp_path / "in", count=40)
    options = replace(options, load_size=64, flip=flip, fit="pad")
    data = open_data(tmp_path / "in", options, size=48, needs=NEEDS)
    assert isinstance(data, Described)
    sampler = data.sampler(batch=20, seed=1, options=options, device="cpu", size=48)
    order = [data.parts.index(part) for part in PARTS]
    found, masks = 0, []
    for step in range(6):
        batch = sampler.batch(step)
        mask = sampler.squares(step).mask & flip
        masks.append(mask)
        keypoints = batch["keypoints"].numpy()
        found += compare(batch["image"].numpy(), keypoints[:, order], mirrored=mask)
        assert ((keypoints[:, :, 2] == 0) | (keypoints[:, :, 2] == 1)).all()
        assert (keypoints[keypoints[:, :, 2] == 0] == 0).all() and keypoints.min() >= 0 and keypoints.max() <= 1
        boxes = batch["boxes"].numpy()
        assert boxes.min() >= 0 and (boxes[:, :2] + boxes[:, 2:]).max() <= 1 + 1e-6 and boxes[:, 2:].min() > 0
    assert found > 150 and np.concatenate(masks).any() == flip


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("flip", [False, True])
def test_boxes_lie_around_their_ink(tmp_path: Path, options: DataOptions, fit: Any, flip: bool) -> None:
    """Black rectangles; in the batch the ink begins and ends where the box does, to half a pixel."""
    random = np.random.default_rng(3)
    (tmp_path / "in").mkdir()
    rows = []
    for i in range(16):
        pixels = np.full((90, 120), 255, np.uint8)
        x, y, w, h = random.integers(0, 70), random.integers(0, 50), random.integers(12, 50), random.integers(12, 40)
        pixels[y : y + h, x : x + w] = 0
        Image.fromarray(pixels).save(tmp_path / f"in/{i:02d}.png")
        rows.append({"file_name": f"{i:02d}.png", "bbox": [int(v) for v in (x, y, w, h)]})
    write(tmp_path / "in", rows)
    options = replace(options, fit=fit, flip=flip, load_size=60)
    data = open_data(tmp_path / "in", options, size=48, channels=1, needs=frozenset({"image", "boxes"}))
    sampler = data.sampler(batch=len(data), seed=1, options=options, device="cpu", size=48)
    for step in range(5):
        batch = sampler.batch(step)
        for image, (x, y, w, h) in zip(batch["image"].numpy()[:, 0], batch["boxes"].tolist(), strict=True):
            ink = image < 0
            columns, lines = np.flatnonzero(ink.any(0)), np.flatnonzero(ink.any(1))
            if len(columns) < 2:
                assert min(w, h) * 48 < 2.1
                continue
            got = [columns[0], lines[0], columns[-1] + 1, lines[-1] + 1]
            assert abs(np.array(got) - np.array([x, y, x + w, y + h]) * 48).max() <= 0.55


@pytest.mark.parametrize("orientation", range(2, 9))
def test_places_are_those_of_the_picture_as_it_is_shown(tmp_path: Path, options: DataOptions, orientation: int) -> None:
    """Stored turned in each of EXIF's ways."""
    drawn(tmp_path / "in", orientation=orientation)
    data = open_data(tmp_path / "in", replace(options, fit="pad", flip=False), size=48, needs=NEEDS)
    assert isinstance(data, Described)
    images = data.pictures.images[data.rows].transpose(0, 3, 1, 2) / 127.5 - 1
    keypoints = data.conditions(range(len(data)))["keypoints"].numpy()
    assert compare(images, keypoints[:, [data.parts.index(part) for part in PARTS]]) > 24


def test_prepared_data_at_another_size(tmp_path: Path, options: DataOptions) -> None:
    """A folder of prepared squares as a source: places are shares, also where all numbers are below 1, or none is."""
    drawn(tmp_path / "in")
    prepare_data(tmp_path / "in", tmp_path / "out", replace(options, fit="pad"), size=96)
    for size in (96, 48, 40):
        data = open_data(tmp_path / "out", replace(options, flip=False, coordinates="pixels"), size=size, needs=NEEDS)
        assert isinstance(data, Described)
        images = data.pictures.images[data.rows].transpose(0, 3, 1, 2) / 127.5 - 1
        keypoints = data.conditions(range(len(data)))["keypoints"].numpy()
        assert compare(images, keypoints[:, [data.parts.index(part) for part in PARTS]]) > 24


def test_pixels_and_shares_are_told_apart(tmp_path: Path, options: DataOptions) -> None:
    """By the largest number of all of the data; the same either way; and a source or an option that says so wins."""
    found = {}
    for unit in ("pixels", "relative"):
        drawn(tmp_path / unit, unit=unit)
        data = open_data(tmp_path / unit, replace(options, flip=False), size=48, needs=NEEDS)
        assert isinstance(data, Described) and data.pictures.options["coordinates"] == unit
        assert data.amount.endswith("in pixels)" if unit == "pixels" else "in shares of the picture)")
        found[unit] = data
    for key in ("boxes", "points"):
        assert np.allclose(getattr(found["pixels"], key), getattr(found["relative"], key), atol=1e-9)
    # Of one pixel, taken for the whole picture.
    rows = drawn(tmp_path / "one", count=3)
    write(tmp_path / "one", [{"file_name": row["file_name"], "bbox": [0, 0, 1, 1]} for row in rows])
    for coordinates, side in (("auto", 1), ("pixels", 1 / 90), ("relative", 1)):
        chosen = replace(options, coordinates=coordinates, fit="crop")
        boxes = open_pictures(tmp_path / "one", chosen, size=48).columns["bbox"]
        assert boxes[0][2:] == pytest.approx([side * (120 / 90 if side == 1 else 1), side])


def test_only_data_with_places_has_another_cache_key(tmp_path: Path, options: DataOptions) -> None:
    drawn(tmp_path / "in")
    paths = {
        c: open_pictures(tmp_path / "in", replace(options, coordinates=c), size=24).path for c in ("auto", "relative")
    }
    assert len(set(paths.values())) == 2
    (tmp_path / "in/metadata.jsonl").unlink()
    paths = {
        c: open_pictures(tmp_path / "in", replace(options, coordinates=c), size=24).path for c in ("auto", "relative")
    }
    assert len(set(paths.values())) == 1
    assert "coordinates" not in open_pictures(tmp_path / "in", options, size=24).options


def test_tiles_have_no_places(tmp_path: Path, options: DataOptions) -> None:
    drawn(tmp_path / "in")
    with pytest.raises(UserError, match=r"boxes or keypoints, which do not go with --fit tiles"):
        open_pictures(tmp_path / "in", replace(options, fit="tiles"), size=24)


def test_what_is_cut_off(tmp_path: Path, options: DataOptions) -> None:
    """Of 120x90 pixels the middle 90 are kept: a point left of that is None, a box there skips the picture."""
    rows = drawn(tmp_path / "in", count=5)
    boxes = [[0, 0, 15, 40], [10, 10, 10, 10], [0, 0, 120, 90], [104, 80, 16, 10], [105, 80, 15, 10]]
    points = {"a": [14.9, 5, 1], "b": [15.1, 5, 1], "c": [60, 45], "d": [60, 45, 0], "e": None, "f": [60, 91, 2]}
    write(tmp_path / "in", [row | {"bbox": box, "keypoints": points} for row, box in zip(rows, boxes, strict=True)])
    data = open_data(tmp_path / "in", replace(options, flip=False), size=30, needs=NEEDS)
    assert isinstance(data, Described) and data.parts == tuple("abcdef")
    outside = "its bbox lies outside of what is kept of the picture"
    assert [(p.name, p.reason) for p in data.lost] == [("00.png", outside), ("04.png", outside)]
    assert data.skipped[-2:] == list(data.lost)
    assert data.pictures.columns["keypoints"][0] == {
        "a": None, "b": pytest.approx([0.1 / 90, 5 / 90, 1]), "c": pytest.approx([0.5, 0.5, 1]), "d": None, "e": None,
        "f": None,
    }  # fmt: skip
    conditions = data.conditions([0, 1, 2])
    expected = [[0, 1 / 9, 5 / 90, 1 / 9], [0, 0, 1, 1], [89 / 90, 80 / 90, 1 / 90, 1 / 9]]
    assert conditions["boxes"].numpy() == pytest.approx(np.array(expected), abs=1e-6)
    assert conditions["keypoints"][0, :, 2].tolist() == [0, 1, 1, 0, 0, 0]
    with pytest.raises(UserError, match=r"because of strict: 00\.png: its bbox lies outside .* \(and 1 more\)"):
        open_data(tmp_path / "in", replace(options, flip=False, strict=True), size=30, needs=NEEDS)


def test_squares_keep_the_centres_of_boxes(tmp_path: Path, options: DataOptions) -> None:
    """Small boxes in the corners of squares of 80 pixels that are cut to 16; others lie where they would anyway."""
    rows = drawn(tmp_path / "in", size=(80, 80), count=8)
    places = list(itertools.product((0, 76), (0, 76))) + [(38, 38)] * 4
    write(tmp_path / "in", [row | {"bbox": [x, y, 4, 4]} for row, (x, y) in zip(rows, places, strict=True)])
    options = replace(options, load_size=80)
    data = open_data(tmp_path / "in", options, size=16, needs=frozenset({"image", "boxes"}))
    assert isinstance(data, Described)
    sampler = data.sampler(batch=8, seed=0, options=options, device="cpu", size=16)
    for step in range(20):
        boxes = sampler.batch(step)["boxes"].numpy() * 16
        assert (
            (boxes[:, 2:] >= 2 - 1e-5).all() and (boxes >= 0).all() and (boxes[:, :2] + boxes[:, 2:] <= 16.00001).all()
        )
    assert (data.conditions(range(8))["boxes"].numpy() * 16 >= 0).all()
    wide = replace(data, boxes=np.tile([0.0, 0.0, 1.0, 1.0], (8, 1)))
    drawn_ = sampler.squares(0)
    moved = wide.with_boxes(np.arange(8), drawn_, 64)
    assert (moved.top <= 40).all() and (moved.left <= 40).all()


def test_mirroring_twice_changes_nothing() -> None:
    boxes = np.random.default_rng(0).random((6, 4)) / 2
    everything = np.ones(6, bool)
    assert mirrored_boxes(mirrored_boxes(boxes, everything), everything) == pytest.approx(boxes)
    zero = np.zeros(6, np.int64)
    assert cut_boxes(boxes, zero, zero, 7, 7) == pytest.approx(boxes)


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        (["left eye", "beak", "right eye"], [2, 1, 0]),
        (["wing-left", "wing_right", "Right_Foot", "left foot"], None),
        (["wing-left", "wing-right", "Right_Foot", "left foot"], [1, 0, 3, 2]),
        (["left", "top", "right"], [2, 1, 0]),
        (["bright", "leftover"], [0, 1]),
        (["nose"], [0]),
    ],
)
def test_partners(parts: list[str], found: list[int] | None) -> None:
    """By hand."""
    if found is None:
        found = [1, 0, 3, 2]
    assert partners(parts) == found


def test_a_part_without_partner(tmp_path: Path, options: DataOptions) -> None:
    with pytest.raises(UserError, match=r"'left wing' has no partner 'right wing'.*--no-flip"):
        partners(["left wing", "tail"])
    rows = drawn(tmp_path / "in")
    write(tmp_path / "in", [row | {"keypoints": {"left eye": [50, 50]}} for row in rows])
    with pytest.raises(UserError, match="no partner 'right eye'"):
        open_data(tmp_path / "in", options, size=24, needs=NEEDS)
    data = open_data(tmp_path / "in", replace(options, flip=False), size=24, needs=NEEDS)
    assert isinstance(data, Described) and data.parts == ("left eye",)


def test_lists_need_names_to_be_mirrored(tmp_path: Path, options: DataOptions) -> None:
    rows = drawn(tmp_path / "in", named=False)
    options = replace(options, fit="pad")
    with pytest.raises(UserError, match=r"lists without names.*give --parts with their names, or --no-flip"):
        open_data(tmp_path / "in", options, size=24, needs=NEEDS)
    data = open_data(tmp_path / "in", replace(options, flip=False), size=24, needs=NEEDS)
    assert isinstance(data, Described) and data.parts == ("1", "2", "3")
    data = open_data(tmp_path / "in", replace(options, parts=PARTS), size=24, needs=NEEDS)
    assert isinstance(data, Described) and data.parts == PARTS
    for parts, match in ((("a", "b"), "names 2 keypoints, but the lists"), (("a", "a", "b"), "names a keypoint twice")):
        with pytest.raises(UserError, match=match):
            open_data(tmp_path / "in", replace(options, parts=parts), size=24, needs=NEEDS)
    # One list that is shorter than the others is skipped by name; lists beside objects are refused.
    write(tmp_path / "in", [*rows[:-1], rows[-1] | {"keypoints": rows[-1]["keypoints"][:2]}])
    data = open_data(tmp_path / "in", replace(options, parts=PARTS), size=24, needs=NEEDS)
    assert isinstance(data, Described) and str(data.lost[0]) == "11.png: 2 keypoints, not 3"
    write(tmp_path / "in", [*rows[:-1], rows[-1] | {"keypoints": {"beak": [1, 2]}}])
    with pytest.raises(UserError, match="Some keypoints are lists and some are objects"):
        open_data(tmp_path / "in", replace(options, flip=False), size=24, needs=NEEDS)


def test_chosen_parts_of_objects(tmp_path: Path, options: DataOptions) -> None:
    """--parts chooses and orders; a name that none has is refused; on other systems the option is."""
    drawn(tmp_path / "in")
    options = replace(options, fit="pad", flip=False)
    both = open_data(tmp_path / "in", replace(options, parts=("right eye", "left eye")), size=24, needs=NEEDS)
    every = open_data(tmp_path / "in", options, size=24, needs=NEEDS)
    assert isinstance(both, Described) and isinstance(every, Described)
    assert every.parts == ("beak", "left eye", "right eye") and every.points is not None and both.points is not None
    assert np.array_equal(both.points, every.points[:, [2, 1]])
    with pytest.raises(UserError, match=r"No picture has the keypoint 'tail' of --parts; there are beak, left eye"):
        open_data(tmp_path / "in", replace(options, parts=("tail",)), size=24, needs=NEEDS)
    with pytest.raises(UserError, match=r"--parts is for systems that learn from keypoints"):
        open_data(tmp_path / "in", replace(options, parts=PARTS), size=24)


@pytest.mark.parametrize("text", ["1, 2, 3, 4", "1 2 3 4", "[1,2, 3,4]", " 1.0,2,3,4 "])
def test_boxes_of_csv(text: str) -> None:
    assert box_of(text) == (1, 2, 3, 4)


def test_boxes_of_a_csv_file(tmp_path: Path, options: DataOptions) -> None:
    """As the same boxes in a .jsonl."""
    rows = drawn(tmp_path / "in")
    expected = open_pictures(tmp_path / "in", options, size=24).columns["bbox"]
    (tmp_path / "in/metadata.jsonl").unlink()
    lines = ["file_name,bbox", *(f'{row["file_name"]},"{", ".join(map(str, row["bbox"]))}"' for row in rows)]
    (tmp_path / "in/metadata.csv").write_text("\n".join(lines))
    assert open_pictures(tmp_path / "in", options, size=24).columns["bbox"] == expected


@pytest.mark.parametrize(
    "value",
    [
        "1 2 3", "a b c d", [1, 2, 3], [1, 2, "3", 4], [1, 2, 0, 4], [1, 2, 3, float("nan")], {"x": 1}, True, 5,
        [[1, 2, 3, 4]],
    ],
)  # fmt: skip
def test_what_is_no_box(tmp_path: Path, options: DataOptions, value: Any) -> None:
    """Told beside the picture, which other systems use; where a box is needed it is skipped."""
    with pytest.raises(Unusable, match="its bbox"):
        box_of(value)
    rows = drawn(tmp_path / "in", count=4)
    write(tmp_path / "in", [rows[0] | {"bbox": value}, *rows[1:]])
    pictures = open_pictures(tmp_path / "in", options, size=24)
    assert len(pictures) == 4 and pictures.columns["bbox"][0] is None and pictures.columns["bbox"][1] is not None
    assert pictures.notes[0].name == "00.png" and pictures.notes[0].reason.startswith("its bbox")
    data = open_data(tmp_path / "in", options, size=24, needs=frozenset({"image", "boxes"}))
    assert isinstance(data, Described) and str(data.lost[0]) == "00.png: no bbox"


@pytest.mark.parametrize("value", [[], {}, "1 2 1", [[1]], [[1, 2, 3, 4]], {"a": [1, "2"]}, [[1, 2, "yes"]], 5])
def test_what_is_no_keypoints(value: Any) -> None:
    with pytest.raises(Unusable, match="its keypoint"):
        points_of(value)


def test_keypoints_as_numbers() -> None:
    """In the order of the parts, whatever COCO writes beside what is not labelled."""
    points = points_of({"b": [3, 4, 2], "a": [1, 2], "c": [0, 0, 0], "d": None, "e": [5, 6, True]})
    assert as_array(points, "abcdef").tolist() == [
        [1, 2, 1], [3, 4, 1], [0, 0, 0], [0, 0, 0], [5, 6, 1], [0, 0, 0],
    ]  # fmt: skip
    with pytest.raises(Unusable, match="1 keypoints, not 2"):
        as_array(points_of([[1, 2]]), "ab")


def test_check_tells_of_places(tmp_path: Path, options: DataOptions) -> None:
    """Counted by hand."""
    rows = drawn(tmp_path / "in", count=5)
    rows[0]["bbox"], rows[1]["bbox"], rows[2]["keypoints"] = (
        [100, 0, 30, 20],
        "nothing",
        {"beak": [5, 95], "tail": None},
    )
    del rows[3]["bbox"], rows[4]["keypoints"]
    write(tmp_path / "in", rows)
    report = check_data(tmp_path / "in", options)
    text = "\n".join(report.lines())
    assert "boxes: in 4 of 5 pictures, in pixels" in text and "keypoints: in 4 of 5 pictures, in pixels" in text
    assert "keypoints that are visible: beak (4), left eye (3), right eye (3), tail (0)" in text
    for line in (
        "00.png: its bbox [100, 0, 30, 20] reaches beyond the picture",
        '01.png: its bbox is "nothing", not x, y, width and height',
        "02.png: keypoints outside of the picture: beak",
    ):
        assert line in text
    found = json.loads(json.dumps(report.to_json()))["annotations"]
    assert found["coordinates"] == "pixels" and found["boxes"] == 4 and found["visible"]["tail"] == 0
    assert [problem["name"] for problem in found["misplaced"]] == ["00.png", "01.png", "02.png"]
    drawn(tmp_path / "lists", named=False)
    assert "training needs --parts with their names, or --no-flip" in "\n".join(
        check_data(tmp_path / "lists", options).lines()
    )
