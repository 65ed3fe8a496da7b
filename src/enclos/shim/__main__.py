"""`python -m enclos.shim`, for the tests and a clone."""

from enclos.shim.main import main

main()
