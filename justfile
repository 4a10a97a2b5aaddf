# What a developer runs; .ci/run calls the same recipes.

# everything that CI checks, but for the wheel
all: lint types contracts docs test

# the tests
test *args:
    python -m pytest {{ args }}

# style: formatting, lint, docstrings that agree with signatures
lint:
    ruff format --check .
    ruff check .
    pydoclint --quiet zoo

# types
types:
    mypy

# which room may import which
contracts:
    lint-imports

# generated pages are those of the code; changelog fragments can be collected
docs:
    python tools/reference.py --check
    towncrier build --draft --version next

# write generated pages again
reference:
    python tools/reference.py

# the wheel has every file, and works from another folder
wheel:
    python tools/wheel.py

# measurements; results are written to benchmarks/results
bench:
    python benchmarks/peers.py
    python benchmarks/startup.py
