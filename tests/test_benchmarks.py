"""The benchmarks are run by hand, so a test sees that they still can be."""

import sys

import pytest
from benchmarks.__main__ import QUESTIONS, README, TABLES, main


def test_every_question_is_known(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them import what they measure, and the page names each."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--help"])
    with pytest.raises(SystemExit):
        main()
    told, page = capsys.readouterr().out, README.read_text()
    for name in (*QUESTIONS, *TABLES):
        assert name in told
        assert f"[{name}](" in page or f"python -m benchmarks {name}" in page
