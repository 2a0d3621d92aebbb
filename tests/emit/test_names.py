from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypergen_compiler.emit.names import RESERVED, Namespace, identifier, snake
from hypergen_compiler.emit.text import Code

ODD = [
    "",
    "é",
    "x\n",
    "a;b",
    "1",
    "_",
    "__",
    "\U0001d431",
    "\ufb01",
    "{{ 7 }}",
    "__import__('os')",
    "print",
    "w",
    "self",
]
HOSTILE = st.text() | st.sampled_from([*keyword.kwlist, *ODD])


@given(HOSTILE)
def test_any_text_gives_an_identifier_that_hides_nothing(text):
    name = identifier(text)
    assert isinstance(name, Code)
    assert name.isidentifier() and name.isascii()
    assert name not in RESERVED


@given(HOSTILE)
def test_an_identifier_stays_what_it_is(text):
    assert identifier(identifier(text)) == identifier(text)


@given(HOSTILE)
def test_any_class_name_gives_a_function_name(text):
    name = snake(text)
    assert name.isidentifier() and name.isascii() and name == name.lower()
    assert name not in RESERVED


@given(st.lists(HOSTILE, max_size=8))
def test_a_namespace_hands_out_each_name_once(texts):
    names = Namespace({"x", "value"})
    claimed = [names.claim(text) for text in texts]
    assert len(set(claimed)) == len(texts)
    assert not {"x", "value"} & set(claimed)
    assert all(name.isidentifier() for name in claimed)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("weight", "weight"),
        ("2nd-weight", "value_2nd_weight"),
        ("class", "class_"),
        ("print", "print_"),
        ("w", "w_"),
        ("größe", "groe"),
        ("", "value"),
        ("a..b", "a_b"),
    ],
)
def test_identifiers(text, name):
    assert identifier(text) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ResBlock", "res_block"),
        ("UNet2DModel", "unet_2d_model"),
        ("VAE", "vae"),
        ("SmallGPT", "small_gpt"),
        ("Conv2dBlock", "conv_2d_block"),
        ("MLP", "mlp"),
        ("GPT2MLP", "gpt2_mlp"),
        ("GPT2LMHeadModel", "gpt2_lm_head_model"),
        ("Conv1D", "conv_1d"),
        ("log_prob", "log_prob"),
        ("Print", "print_"),
        ("", "function"),
    ],
)
def test_function_names(text, name):
    assert snake(text) == name


def test_taken_names_get_a_number():
    names = Namespace()
    assert [names.claim("x") for _ in range(3)] == ["x", "x_2", "x_3"]
    assert names.claim("class") == "class_"
    assert names.claim("class") == "class_2"
