"""Makes acme's service known to rtcd. Twisted reads this file often: nothing else is imported here."""

from rtcd.plugin import ServicePlugin

recorder = ServicePlugin("recorder", "acme.recorder", "Writes down how many rooms there are")
