"""Targets that take whatever bytes there are, for a fuzzer that watches which code they reach.

``python -m tests.fuzz TARGET [seconds]`` runs one with atheris; README.md tells how. tests.shell.test_fuzz gives each a few
hundred inputs without it. Nothing of rtcd is imported here, since atheris has to be there first.
"""
