"""The checks of the labs' exercises say what is wrong, in the lab's language, whatever the reader's code does."""

import numpy as np
import pytest

from fireweed.teaching import checks, speak
from fireweed.teaching.verdict import Verdict


@pytest.fixture(autouse=True)
def english():
    speak("en")
    yield
    speak("en")


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_a_right_answer_is_right_and_says_so():
    verdict = checks.check_softmax(softmax)
    assert verdict
    assert repr(verdict).startswith("Right: ")


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (lambda logits: None, "gives nothing back"),
        (lambda logits: ..., "gives nothing back"),
        (lambda logits: 1 / 0, "ZeroDivisionError"),
        (lambda logits: "a text", "numbers are expected, but your function gives a str"),
        (lambda logits: logits[0], "of shape (1, 3), but yours is an array of shape (3,)"),
        (lambda: 1, "TypeError"),
        (5, "TypeError"),
    ],
)
def test_what_cannot_be_judged_is_told_in_words(answer, word):
    verdict = checks.check_softmax(answer)
    assert not verdict
    assert word in verdict.words


def test_a_check_speaks_the_language_of_the_lab():
    speak("zh-TW")
    assert repr(checks.check_dense_weights(lambda inputs, neurons: inputs * neurons)).startswith("還不對\uff1a")
    with pytest.raises(ValueError, match="en and zh-TW"):
        speak("fr")


def test_code_that_changes_its_arguments_does_not_disturb_the_check():
    def careless(logits):
        logits -= logits.max(axis=1, keepdims=True)
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    assert checks.check_softmax(careless)


def test_answers_of_other_kinds_than_the_solutions_are_right_too():
    assert checks.check_neuron(lambda inputs, weights, bias: np.array(max(0, sum(inputs * weights) + bias)))
    assert checks.check_cross_entropy(lambda p, one_hot: np.float32(-np.log(p[one_hot > 0]).mean()))
    assert checks.check_max_pool(
        lambda cube: np.maximum.reduce([cube[::2, ::2], cube[1::2, ::2], cube[::2, 1::2], cube[1::2, 1::2]]).tolist()
    )


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("...", "write the net as a line"),
        ("conf 16 | gap", "did you mean 'conv'"),
        ("conv 64 | pool | conv 128 | gap", "parameters"),
        ("conv 8 | gap", "sees 3 px"),
    ],
)
def test_a_net_is_judged_by_what_it_costs_and_sees(line, word):
    verdict = checks.check_net_line(line)
    assert not verdict
    assert word in verdict.words


def test_a_verdict_shows_a_sign_beside_its_colour():
    assert "✓" in Verdict(True, "fine")._repr_html_()
    shown = Verdict(False, "<b> is no number")._repr_html_()
    assert "✗" in shown
    assert "&lt;b&gt;" in shown
