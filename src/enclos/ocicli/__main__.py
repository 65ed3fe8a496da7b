"""`python -m enclos.ocicli`, the program out of a source tree."""

from enclos.ocicli.main import main

main()
