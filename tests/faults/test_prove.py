"""`make prove`, for a moment."""

from __future__ import annotations

import pytest

from .prove import Proof, main


@pytest.mark.slow
def test_it_kills_and_ends_with_a_ledger_that_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seconds", "3"]) == 0
    told = capsys.readouterr().out
    assert "killed: " in told
    assert "Every accepted job ran to its end" in told


@pytest.mark.slow
def test_a_job_that_is_gone_is_told_and_ends_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_one(self: Proof) -> None:
        id = self.site.enqueue("nap.enqueue()")
        self.site.write("DELETE FROM jobs_job WHERE id = ?", id)
        lost.append(id)
        self.killed["the history"] += 1

    lost: list[str] = []
    monkeypatch.setattr(Proof, "kill", lose_one)
    run = Proof.run

    def run_and_tell(self: Proof, seconds: float) -> object:
        customer = run(self, seconds)
        customer.accepted += lost
        return customer

    monkeypatch.setattr(Proof, "run", run_and_tell)
    assert main(["--seconds", "1"]) == 1
    assert "accepted and gone" in capsys.readouterr().out
