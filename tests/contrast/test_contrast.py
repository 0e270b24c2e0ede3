"""The contrast: its loss by hand, what it reads, what it trains."""

import math
from dataclasses import replace
from random import Random

import pytest
import torch
from contrast_cases import POLICIES, encoded_references, mini, reader

from rltf.contrast.batch import ContrastBatch, collate_contrast
from rltf.contrast.network import ContrastNetwork, accuracies, contrast_loss, excluded_negatives
from rltf.contrast.options import ContrastOptions
from rltf.contrast.programs import draw_batch
from rltf.validation import OptionError

BOTH = pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)
NONE = torch.zeros(3, 3, dtype=torch.bool)


def batch_of(read, programs, k=1, seed=0):
    draw = Random(seed)
    augmented = [read.augmented(program, draw) for program in programs]
    return collate_contrast(programs, augmented, k, read.policy.pad_id, read.policy.prompt_padding)


def started(policy, **options):
    network = ContrastNetwork(policy, ContrastOptions(**options))
    network.start(policy)
    return network


def test_equal_logits_of_eight_cost_ln_8():
    losses_N = contrast_loss(torch.zeros(8, 8), torch.zeros(8, 8, dtype=torch.bool))
    torch.testing.assert_close(losses_N, torch.full((8,), 2.079442))


def test_losses_by_hand():
    nothing_excluded = torch.zeros(4, 4, dtype=torch.bool)
    assert contrast_loss(5 * torch.eye(4), nothing_excluded).mean().item() == pytest.approx(
        0.020012, abs=1e-6
    )  # ln(1 + 3 e^-5)
    logits_NN = torch.tensor([[2.0, 1, 0], [0, 2, 1], [1, 0, 2]])  # ln(1 + e^-1 + e^-2)
    losses_N = contrast_loss(logits_NN, NONE)
    torch.testing.assert_close(losses_N, torch.full((3,), 0.407606))
    assert losses_N[:2].mean().item() == pytest.approx(0.407606, abs=1e-6)


def test_a_number_on_a_whole_row_changes_neither_loss_nor_gradient():
    logits_NN = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    plain = contrast_loss(logits_NN, NONE).sum()
    lowered = contrast_loss(logits_NN - logits_NN.detach().amax(1, keepdim=True), NONE).sum()
    torch.testing.assert_close(plain, lowered)
    torch.testing.assert_close(
        *(torch.autograd.grad(loss, logits_NN, retain_graph=True)[0] for loss in (plain, lowered))
    )


def test_a_positive_behind_the_same_beginning_is_no_negative():
    logits_NN = torch.tensor([[2.0, 1, 0], [0, 2, 1], [1, 0, 2]])
    numbers = [torch.tensor(row) for row in ([0, 0, 0], [0, 0, 0], [7, 7, 8], [0, 1, 1], [3, 3, 4])]
    batch = ContrastBatch(None, None, *numbers)
    excluded_NN = excluded_negatives(batch, other_programs=False)
    assert excluded_NN.tolist() == [[False, True, False], [True, False, False], [False, False, False]]
    losses_N = contrast_loss(logits_NN, excluded_NN)
    by_hand = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(-1)), math.log(1 + math.exp(-1) + math.exp(-2))]
    torch.testing.assert_close(losses_N, torch.tensor(by_hand))
    assert excluded_negatives(batch, other_programs=True).tolist() == [
        [False, True, False],
        [True, False, True],
        [False, True, False],
    ]


def test_accuracies_by_hand():
    logits_NN = torch.tensor([[2.0, 3, 9], [0, 2, 1], [1, 0, 2]])
    metrics = accuracies(logits_NN, NONE, torch.tensor([5, 5, 6]))
    assert metrics["accuracy"].item() == pytest.approx(2 / 3)  # the first one takes the third for its own
    assert metrics["accuracy_same_problem"].item() == 0.5  # and the second, of the two of its problem
    assert metrics["chance"].item() == pytest.approx(1 / 3)
    alone = accuracies(logits_NN, NONE, torch.tensor([1, 2, 3]))
    assert "accuracy_same_problem" not in alone


@BOTH
def test_the_momentum_branch_has_no_gradient_and_everything_else_has(make):
    policy = make()
    read = reader(policy)
    network = started(policy)
    loss = network(policy, batch_of(read, encoded_references(read, 12)))
    loss.total.backward()
    target, code = network.copies
    assert all(not w.requires_grad and w.grad is None for w in (*target.policy.parameters(), *code.parameters()))
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in network.parameters())
    assert sum(weight.grad is not None for weight in policy.parameters()) > 3


@BOTH
def test_the_momentum_copy_goes_a_share_of_the_way(make):
    for tau, share in ((1.0, 1.0), (0.25, 0.25)):
        policy = make()
        network = started(policy, tau=tau)
        with torch.no_grad():
            for weight in (*policy.parameters(), *network.code.parameters()):
                weight += 1
        target, code = network.copies
        before = [weight.clone() for weight in (*target.policy.parameters(), *code.parameters())]
        network.follow(policy)
        for old, new in zip(before, (*target.policy.parameters(), *code.parameters()), strict=True):
            torch.testing.assert_close(new, old + share)


@BOTH
def test_the_same_line_end_without_augmentation_is_found_among_different_programs(make):
    policy = make()
    options = {"k": 0, "shift": 0, "mask": 0.0, "rename": 0.0}
    read = reader(policy, **options)
    network = started(policy, **options)
    with torch.no_grad():  # anchors are codes: what looks alike is alike
        network.predict[2].weight.zero_()
        network.predict[2].bias.zero_()
        network.compare.weight.copy_(torch.eye(128))
    programs = list({program.token_ids: program for program in encoded_references(read)}.values())
    batch = batch_of(read, programs, k=0)
    loss = network(policy.eval(), batch)
    with torch.no_grad():
        logits_NN = network.logits(policy, batch)
    # among vectors of one length the nearest has the largest product
    codes = torch.nn.functional.normalize(logits_NN.diagonal().sqrt().reciprocal()[:, None] * logits_NN, dim=1)
    nearest = (logits_NN.diagonal()[:, None] + logits_NN.diagonal() - 2 * logits_NN).masked_fill(
        excluded_negatives(batch, False), torch.inf
    )
    assert (nearest.argmin(1) == torch.arange(len(nearest))).float().mean() > 0.99
    assert codes.isfinite().all()
    shuffled = replace(batch, positive_N=batch.positive_N[torch.randperm(len(batch.positive_N))])
    guessed = network(policy, shuffled).metrics
    assert guessed["accuracy"] < 5 * guessed["chance"] < loss.metrics["accuracy"]


@BOTH
def test_padding_and_neighbours_change_no_logit(make):
    policy = make().eval()
    read = reader(policy)
    network = started(policy)
    programs = sorted(encoded_references(read), key=lambda program: len(program.token_ids))
    short, long = programs[:3], programs[-1:]
    with torch.no_grad():
        alone = network.logits(policy, batch_of(read, short))
        beside = network.logits(policy, batch_of(read, [*short, *long]))
    torch.testing.assert_close(beside[: len(alone), : len(alone)], alone, rtol=0, atol=1e-4)


def test_the_last_k_lines_are_no_anchors_and_the_loss_counts_the_others():
    read = reader()
    programs = encoded_references(read, 10)
    for k in (0, 1, 2):
        batch = batch_of(read, programs, k=k)
        assert batch.count == sum(max(0, len(program.ends) - k) for program in programs)


def test_programs_of_one_line_cost_nothing():
    read = reader()
    network = started(read.policy)
    [program] = encoded_references(read, 1)
    one_line = replace(program, ends=program.ends[:1])
    loss = network(read.policy, batch_of(read, [one_line, one_line]))
    assert (loss.total.item(), loss.count.item()) == (0.0, 0.0)
    loss.total.backward()
    assert all(weight.grad.abs().sum() == 0 for weight in network.parameters())


def test_programs_without_an_anchor_are_not_read():
    read = reader(k=1)
    problem = mini().problems("train")[0]
    assert read.read(problem.id, "print(1)") is None
    assert read.read("no such problem", "a = 1\nprint(a)") is None
    assert read.read(problem.id, "# one\na = 1\n\nprint(a)").ends.__len__() == 2


def test_the_prompt_is_one_token_unless_it_is_asked_for():
    hidden, shown = reader(prompt=False), reader(prompt=True)
    problem = mini().problems("train")[0]
    text = "a = 1\nprint(a)"
    assert hidden.read(problem.id, text).prompt_ids == (hidden.policy.eos_id,)
    assert shown.read(problem.id, text).prompt_ids == shown.policy.encode_prompt(mini().prompt(problem))


def test_a_batch_has_at_most_four_programs_of_a_problem_and_no_program_twice():
    read = reader()
    problems = [problem.id for problem in mini().problems("train")[:20]]
    groups = [[read.read(i, f"x = {n}\nprint(x)") for n in range(9)] for i in problems]
    batch = draw_batch(groups, 64, Random(0))
    assert len(batch) == 64
    assert len({(program.problem_id, program.text) for program in batch}) == 64
    counts = [sum(program.problem_id == i for program in batch) for i in problems]
    assert set(counts) == {4, 0}
    assert len(draw_batch(groups[:2], 64, Random(0))) == 8


def test_a_copy_state_restores_the_momentum_copy():
    policy = POLICIES["T5"]()
    network = started(policy)
    with torch.no_grad():
        for weight in (*policy.parameters(), *network.code.parameters()):
            weight += 1
    network.follow(policy)
    again = started(policy)
    again.load_copy_state(network.copy_state(policy))
    for one, other in zip(network.copies[0].policy.parameters(), again.copies[0].policy.parameters(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(network.copies[1].weight, again.copies[1].weight)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({"k": -1}, "k is -1: expected a whole number of at least 0"),
        ({"tau": 0}, "tau is 0: expected a number above 0 and at most 1"),
        ({"mask": 1.0}, "mask is 1.0: expected a number of at least 0 and below 1"),
        ({"negatives": "all"}, "negatives is 'all': expected batch or other_programs"),
        ({"rows": 1}, "rows is 1: expected a whole number of at least 2"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(option, expected):
    with pytest.raises(OptionError, match=f"^{expected}"):
        ContrastOptions(**option)
