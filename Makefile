# Two commands for a newcomer: `make demo` and `make test`. Both build .venv first, and build it again when
# pyproject.toml changes.

PYTHON ?= python3
BIN := .venv/bin
# What OpenCV and Qt load and a bare Debian does not have.
SYSTEM := python3-venv libegl1 libgl1 libglib2.0-0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 \
	libxcb-keysyms1 libxcb-shape0 libdbus-1-3 libfontconfig1

.PHONY: demo test lint clean

demo: .venv/installed
	$(BIN)/swahr process demo: --output demo.mp4 --json demo.jsonl --overwrite

test: .venv/installed lint
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -q

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/installed: pyproject.toml
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! dpkg -s $(SYSTEM) >/dev/null 2>&1; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SYSTEM); \
	fi
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

clean:
	rm -rf .venv demo.mp4 demo.jsonl
