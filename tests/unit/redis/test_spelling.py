"""Constants and functions of one line stand where they are named, and nothing else changes its meaning."""

import pytest

from bankimport.redis.spelling import spelled_out


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("local LIMIT = 1000 -- so many\nreturn LIMIT, t.LIMIT, 'LIMIT'\n", "return 1000, t.LIMIT, 'LIMIT'\n"),
        ("local FIRST = -7e15\nreturn x + FIRST\n", "return x + -7e15\n"),
        ("local A = 1\nlocal B = 2\nreturn A + B, AB\n", "return 1 + 2, AB\n"),
        ("local function int(n) return format(n) end\nreturn int(a.b), 'int'\n", "return (format(a.b)), 'int'\n"),
        (
            "local function int(n) return format(n) end\nreturn int(f(a, {1, 2}) + 1)\n",
            "return (format((f(a, {1, 2}) + 1)))\n",
        ),
        ("local function of(job) return job.a .. job.b end\nreturn of(twin)\n", "return (twin.a .. twin.b)\n"),
        (
            "local function wake() wakes = least(wakes + 1) end\nif x then wake() end\n",
            "if x then wakes = least(wakes + 1) end\n",
        ),
        ("local function less(a, b) return a < b end\nreturn less(b, c)\n", "return (b < c)\n"),
        ("local function of(id) return {id = id} end\nreturn of(x)\n", "return ({id = x})\n"),
        ("local function said(text) return f(text) end\nreturn said('x, y')\n", "return (f('x, y'))\n"),
        (
            "local function half(n) return n / 2 end\nlocal function third(n) return half(n) / 1.5 end\nreturn third(x)\n",
            "return ((x / 2) / 1.5)\n",
        ),
    ],
)
def test_what_is_named_stands_where_it_is_named(text: str, spelled: str) -> None:
    assert spelled_out(text) == spelled


@pytest.mark.parametrize(
    "text",
    [
        "local function twice(n) return n .. n end\nreturn twice(next())\n",  # it would be carried out twice
        "local function int(n) return format(n) end\nreturn map(int, list)\n",  # it is handed on
        "local function of(job)\n  return job.a\nend\nreturn of(twin)\n",
        "local FIELDS = {'a', 'b'}\nreturn FIELDS\n",
        "local function int(n) return format(n) end\nreturn int(a + int(b))\n",
        "local function opt(a, b) return f(a, b) end\nreturn opt(x)\n",
    ],
)
def test_what_would_mean_something_else_is_left_alone(text: str) -> None:
    assert spelled_out(text) == text
