"""`--open`, and what `--version --verbose` says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from composer.cli.versions import conflicts


@pytest.fixture
def opened(monkeypatch):
    found: list[Path] = []
    monkeypatch.setattr("webbrowser.open", lambda uri: found.append(Path(unquote(urlparse(uri).path))) or True)
    return found


@pytest.mark.parametrize("words", [("graph", "resnet10"), ("diff", "resnet10", "resnet18")])
def test_a_page_is_opened_from_a_temporary_file(tmp_path, words):
    """In a process of its own, by a browser of the environment, which is a script that notes what it is to open."""
    browser, noted = tmp_path / "browser", tmp_path / "noted"
    browser.write_text(f'#!/bin/sh\necho "$1" > {noted}\n')
    browser.chmod(0o755)
    environment = {**os.environ, "BROWSER": str(browser), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "composer", *words, "--open"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    path = Path(unquote(urlparse(noted.read_text().strip()).path))
    assert path.is_relative_to(tmp_path)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_file_that_is_asked_for_is_opened(run, opened, tmp_path):
    assert run("graph", "resnet10", "-o", tmp_path / "it.svg", "--open").code == 0
    assert opened == [tmp_path / "it.svg"]
    assert run("graph", "resnet10", "-o", "-", "--open").code == 2


def test_without_a_browser_the_file_is_named(run, monkeypatch, tmp_path):
    monkeypatch.setattr("webbrowser.open", lambda uri: False)
    result = run("graph", "resnet10", "-o", tmp_path / "it.html", "--open")
    assert result.code == 0
    assert f"no browser could be started; open {tmp_path / 'it.html'}" in result.err


def test_versions_and_extras(run):
    text = run("--version", "-v").out
    assert "torch 2" in text
    assert run("--version").out.startswith("composer ")
    assert len(run("--version").out.splitlines()) == 1


def test_an_older_package_is_a_conflict():
    assert list(conflicts(["numpy>=1.0"])) == []
    (said,) = conflicts(["numpy>=999"])
    assert said.endswith("is installed, and composer needs >=999")
