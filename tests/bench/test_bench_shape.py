"""How a measurement is told: to people, to programs, and as pictures."""

import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

from tests.bench.asker import Spread, Took
from tests.bench.medians import middle
from tests.bench.pictures import draw
from tests.bench.report import programs
from tests.bench.shape import (
    Beside,
    Curve,
    Findings,
    Found,
    Line,
    Promise,
    Row,
    Table,
    from_json,
    number,
    to_json,
    told,
)

CURVE = Curve(
    picture="cost",
    title="A cost",
    x="members",
    y="milliseconds",
    lines=(
        Line(name="ours", points=((10, 1.5), (1_000, 1.6))),
        Line(name="theirs", points=((10, 2.0),)),
    ),
)
FINDINGS = Findings(
    program="some_cost",
    about="What something costs.\n\nMore of it.",
    machine={"cores": "2"},
    settings={"rounds": 2_000, "sizes": [10, 1_000]},
    found=Found(
        tables=(
            Table(title="part", columns=("p50", "p95"), rows=(Row(name="all", values=(0.5, 12)),)),
        ),
        curves=(CURVE,),
        promises=(Promise(what="cost", value=1.6, limit=2.0),),
    ),
    beside=Beside(other_cores=0.75, load=3.1, seconds=12.0),
)


def test_what_is_written_for_programs_is_read_again() -> None:
    assert from_json(to_json(FINDINGS)) == FINDINGS


def test_json_of_another_shape_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        from_json(b'{"program": "some_cost"}')


def test_people_are_told_each_figure_and_what_else_ran() -> None:
    text = told(FINDINGS)
    assert "beside other work on 0.75 cores (load 3.1 at the end)" in text
    assert "with rounds 2,000, sizes 10 1,000" in text
    assert "all   0.500   12" in text
    assert "ours     1.50   1.60" in text
    assert "theirs      2      -" in text
    assert "cost: 1.60 (at most 2)\n" in text


@pytest.mark.parametrize(
    ("promise", "is_kept"),
    [
        (Promise(what="most", value=2.0, limit=2.0), True),
        (Promise(what="most", value=2.1, limit=2.0), False),
        (Promise(what="least", value=2.0, limit=2.0, is_least=True), True),
        (Promise(what="least", value=1.9, limit=2.0, is_least=True), False),
    ],
)
def test_a_promise_that_is_not_kept_is_told(promise: Promise, *, is_kept: bool) -> None:
    findings = replace(FINDINGS, found=Found(promises=(promise,)))
    assert findings.is_kept is is_kept
    assert ("NOT KEPT" in told(findings)) is not is_kept


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (2, "2"), (1_234_567.8, "1,234,568"), (12.34, "12.3"), (0.01234, "0.0123")],
)
def test_figures_have_three_digits_or_are_whole(value: float, text: str) -> None:
    assert number(value) == text


def test_the_middle_is_taken_of_each_figure_by_itself() -> None:
    blocks = [Took(each_s=[0.001 * n] * 4, whole_s=0.001) for n in (1, 5, 2)]
    spreads = [Spread.of([block]) for block in blocks]
    spreads[0] = replace(spreads[0], per_s=1.0)
    found = middle(spreads)
    assert found.p50 == pytest.approx(2.0)
    assert found.per_s == pytest.approx(4_000)


def test_several_blocks_count_as_one() -> None:
    spread = Spread.of([Took(each_s=[0.001] * 50, whole_s=1), Took(each_s=[0.003] * 50, whole_s=3)])
    assert (spread.p50, spread.p95, spread.per_s) == pytest.approx((2.0, 3.0, 25.0))


def test_a_picture_shows_its_curves_and_is_the_same_each_time(tmp_path: Path) -> None:
    one, other = tmp_path / "one.svg", tmp_path / "other.svg"
    for file in (one, other):
        draw([CURVE, replace(CURVE, title="Another")], file, "made by some_cost")
    assert one.read_bytes() == other.read_bytes()
    texts = {text.strip() for text in ET.parse(one).getroot().itertext()}  # noqa: S314 (our own)
    assert {"A cost", "Another", "members", "milliseconds", "ours", "theirs"} <= texts
    assert {"10", "1k", "made by some_cost"} <= texts


def test_only_what_is_named_is_run_and_peers_only_when_wanted() -> None:
    assert [path.stem for path in programs(["decide_at_scale"], with_peers=False)] == [
        "decide_at_scale"
    ]
    assert not [p for p in programs([], with_peers=False) if p.stem.startswith("peers_")]
    with pytest.raises(SystemExit, match="no such measurement: nothing; there are badge_to_lock"):
        programs(["nothing"], with_peers=False)
