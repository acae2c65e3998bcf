"""One check a module: plain facts in, findings out. What is looked at is rtcd.doctor.facts."""
