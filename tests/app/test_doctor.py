"""`swahr doctor`: a report in words, and compiling ahead."""

from app.cli import main


def test_the_report_names_machine_packages_and_choice(capsys):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for word in ("cores", "Python", "torch", "numba", "auto chooses", "grouping"):
        assert word in shown


def test_compiling_ahead_is_kept(capsys):
    assert main(["doctor", "--warm"]) == 0
    shown = capsys.readouterr().out
    assert "Grouping is compiled and kept" in shown and "not yet" not in shown
