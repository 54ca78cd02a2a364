"""The node: which text and which environment mean which node, and that the shares are a partition of the shards."""

from __future__ import annotations

import itertools

import pytest

from parallel_sharder.node import NODES_LIMIT, ArrayTask, Node, of_nodes


def array(**values: str) -> dict[str, str]:
    """What Slurm sets in the environment of an array's task."""
    return {f"SLURM_ARRAY_TASK_{name}": value for name, value in values.items()}


@pytest.mark.parametrize(
    ("text", "node"),
    [("0/1", Node(0, 1)), ("3/16", Node(3, 16)), (" 15/16\n", Node(15, 16)), ("099/100", Node(99, 100))],
)
def test_text_that_means_a_node(text: str, node: Node) -> None:
    """I/N is node I of N, counted from 0; it is written in the same form again."""
    assert node == Node.parse(text)
    assert node == Node.parse(str(node))
    assert node.is_placed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("5/3", "5/3 is outside 0/3 to 2/3: nodes count from 0"),
        ("3/3", "3/3 is outside 0/3 to 2/3: nodes count from 0"),
        ("0/0", "0/0 has 0 nodes, and there can be 1 to 100,000"),
        (f"0/{NODES_LIMIT + 1}", "0/100001 has 100,001 nodes, and there can be 1 to 100,000"),
        *(
            (text, f"{text!r} is no node; write I/N, such as 0/16 for the first of 16")
            for text in ("", "3", "3/", "/16", "-1/16", "1.0/16", "1 / 16", "1/16/2", "³/16", "0/1234567890")
        ),
    ],
)
def test_text_that_means_no_node(text: str, why: str) -> None:
    """Other text is refused with the reason and with what to write."""
    with pytest.raises(ValueError) as caught:
        Node.parse(text)
    assert why == str(caught.value)


@pytest.mark.parametrize(
    ("first", "last", "step"), [(0, 15, 1), (1, 16, 1), (7, 7, 1), (0, 30, 2), (5, 20, 5), (0, 1, 1)]
)
def test_even_array(first: int, last: int, step: int) -> None:
    """Wherever an array begins, and whatever its step is, its tasks are the nodes from 0 on, each once."""
    numbers = range(first, last + 1, step)
    environments = [
        array(ID=f"{number}", COUNT=f"{len(numbers)}", MIN=f"{first}", MAX=f"{last}", STEP=f"{step}")
        for number in numbers
    ]
    nodes = [Node.of_array(environment) for environment in environments]
    assert [*range(len(numbers))] == [node.index for node in nodes]
    assert {len(numbers)} == {node.count for node in nodes}
    assert [*numbers] == [node.task.number for node in nodes if node.task]


@pytest.mark.parametrize("step", ["", "1", "0"])
def test_array_without_a_step(step: str) -> None:
    """Slurm leaves the step out where there is none; that means 1."""
    assert Node(1, 3, ArrayTask(3, 2, 1, 4, 3)) == Node.of_array(array(ID="3", COUNT="3", MIN="2", MAX="4", STEP=step))


@pytest.mark.parametrize(("number", "last", "count"), [(3, 9, 3), (7, 9, 3), (9, 9, 6)])
def test_array_with_gaps(number: int, last: int, count: int) -> None:
    """Of an array with gaps, as is submitted for a repair, nobody knows which share is whose: its node has no place."""
    node = Node.of_array(array(ID=f"{number}", COUNT=f"{count}", MIN="3", MAX=f"{last}"))
    assert not node.is_placed
    assert count == node.count


@pytest.mark.parametrize("missing", ["ID", "COUNT", "MIN", "MAX"])
def test_outside_an_array(missing: str) -> None:
    """Without the variables of a task the error names what is missing, and says what to write."""
    environment = array(ID="3", COUNT="16", MIN="0", MAX="15")
    del environment[f"SLURM_ARRAY_TASK_{missing}"]
    with pytest.raises(ValueError, match=rf"without SLURM_ARRAY_TASK_{missing} this is none; write I/N, such as 0/16"):
        Node.of_array(environment)


def test_array_whose_numbers_are_none() -> None:
    """Variables that hold something else are shown."""
    with pytest.raises(ValueError, match=r"are \['x', '16', '0', '15', '1'\], and should be whole numbers"):
        Node.of_array(array(ID="x", COUNT="16", MIN="0", MAX="15"))


@pytest.mark.parametrize(("count", "shards"), [*itertools.product((1, 2, 3, 16), (0, 1, 5, 16, 100))])
def test_shares(count: int, shards: int) -> None:
    """The shares have each shard once, and are equal to within one shard."""
    shares = [Node(index, count).share(shards) for index in range(count)]
    assert [*range(shards)] == sorted(number for share in shares for number in share)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    ("numbers", "count", "words"),
    [
        ([1, 4, 7], 3, ", of node 1"),
        ([1, 2, 5], 3, ", of nodes 1, 2"),
        ([1, 2], 0, ""),
        (range(30), 30, f", of nodes {', '.join(map(str, range(20)))} and 10 more"),
    ],
)
def test_nodes_of_shards(numbers: list[int], count: int, words: str) -> None:
    """The nodes whose shards these are are named, each once; of many the first 20."""
    assert words == of_nodes(numbers, count)
