"""`Renewal`: certificates by ACME, joined to the doorway: for which names, how they are proved here, who takes them over.

When to ask and how is rtcd.acme's; what is shown to clients is rtcd.tls'.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger
from twisted.web.resource import IResource

from rtcd.acme.challenges import Challenges, from_sni
from rtcd.acme.issuer import Issuer
from rtcd.acme.resource import CHALLENGE_PATH, ChallengeResource
from rtcd.acme.settings import CHALLENGES, AcmeSettings
from rtcd.config import changes
from rtcd.doorway.connections import Connections
from rtcd.doorway.directory import Listener
from rtcd.doorway.layers import Proof, TlsFactory
from rtcd.machine import maker, own_addresses
from rtcd.metrics import Metrics
from rtcd.outside.metadata import Metadata
from rtcd.outside.names import public_name
from rtcd.outside.reach import HTTP_PORT, HTTPS_PORT, Reach
from rtcd.state import StateDirectory
from rtcd.tls.certificates import Certificates
from rtcd.tls.contexts import ProofCreator
from rtcd.tls.names import canonical
from rtcd.tls.proof import prove

TLS_ALPN, HTTP = CHALLENGES
_PORTS = {TLS_ALPN: ("tls", HTTPS_PORT), HTTP: ("tcp", HTTP_PORT)}
"""By which of our listeners a challenge is answered, and at which port an authority comes for it."""


class Renewal(MultiService):
    """Its issuer runs while ``[tls] mode`` leaves it to us to get a certificate.

    It is also what the HTTPS port shows to an authority (`rtcd.doorway.switch.Proofs`).
    """

    name = "renewal"
    _log = Logger()

    def __init__(
        self, reactor: Any, settings: AcmeSettings, state: StateDirectory, metrics: Metrics, certificates: Certificates,
        connections: Connections, hosts: Sequence[str], listeners: Callable[[], Iterable[Listener]], *, behind: bool = False,
    ) -> None:
        """``hosts``: by which browsers come here, if that is configured. ``listeners``: those of the web. ``behind``: a
        proxy shows its own certificate to browsers, so that ours is for ``[tls] names`` if there are any."""
        super().__init__()
        self._reactor = reactor
        self._settings = settings
        self._certificates = certificates
        self._connections = connections
        self._hosts = tuple(hosts)
        self._listeners = listeners
        self._behind = behind
        self._told = ""
        self.challenges = Challenges()
        self.leads = True
        """Whether it is for us to ask for certificates; another process does, if not."""
        self.issued: Callable[[], object] = lambda: None
        """Is told when a new certificate is in service here."""
        self._reach = Reach(reactor, self.challenges)
        self._issuer = Issuer(reactor, settings, state, self.challenges, metrics, wanted=self.wanted, kinds=self.kinds,
                              taken=self._take)

    @property
    def demanded(self) -> bool:
        """Whether it is a reason to open the web listeners that a certificate is to be got by them."""
        return self._certificates.settings.mode == "acme"

    @property
    def resource(self) -> tuple[str, IResource]:
        """What shows the proofs of HTTP-01, and its path."""
        return CHALLENGE_PATH, ChallengeResource(self.challenges, lambda: self._settings.webroot)

    @property
    def waiting(self) -> bool:
        """Whether an authority may come to see a proof inside TLS."""
        return self.challenges.waiting

    def prove(self, server_name: str) -> IProtocolFactory | None:
        """TLS that shows the proof for this name, or None if there is none."""
        digest = self.challenges.alpn(server_name)
        if digest is None:
            return None
        creator = ProofCreator(prove(from_sni(server_name), digest, self._reactor.seconds()))
        return TlsFactory(self._reactor, creator, self._connections, Proof)

    def startService(self) -> None:
        """Start; the issuer only if it is wanted."""
        super().startService()
        self.tls_changed()

    def reconfigure(self, old: AcmeSettings, new: AcmeSettings) -> list[str]:
        """Take over changed ``[acme]`` settings; all keys can be."""
        self._settings = new
        self._issuer.reconfigure(new)
        return list(changes(old, new))

    def tls_changed(self) -> None:
        """``[tls]`` may say something else now."""
        wanted, there = self._certificates.issued and self.leads, self._issuer.parent is not None
        if not self.running:
            if self.demanded:
                self._log.warn("[tls] mode: is acme, for which the web listeners have to be open; restart")
            return
        if wanted and not there:
            self._issuer.setServiceParent(self)
        elif there and not wanted:
            self._issuer.disownServiceParent()
        elif wanted:
            self._issuer.poke()

    def _take(self) -> bool:
        taken = self._certificates.take_issued()
        if taken:
            self.issued()
        return taken

    def kinds(self) -> tuple[str, ...]:
        """The challenges that can be answered here, first those for which the authority comes to the port we listen on.

        Others too if the operator has asked for ACME: something in front may lead from that port to ours.
        """
        opened = {(one.transport, one.port) for one in self._listeners()}
        exact = [kind for kind in CHALLENGES if _PORTS[kind] in opened]
        mapped = [kind for kind in CHALLENGES if kind not in exact and _PORTS[kind][0] in {one for one, _ in opened}]
        found = [*exact, *(mapped if self.demanded else ())]
        return tuple(kind for kind in found if self._settings.challenge in ("auto", kind))

    async def wanted(self) -> tuple[str, ...]:
        """The names to have a certificate for: those configured, else the public addresses of this machine."""
        kinds = self.kinds()
        if not kinds and not self.demanded:  # the issuer has its own words for who has demanded it
            self._tell("the local certificate is used: nothing listens at port 443 or 80, where an authority would look")
            return ()
        more = self._certificates.settings.names
        named = dict.fromkeys(canonical(one) for one in (*(() if self._behind and more else self._hosts), *more))
        names = [one for one in named if not one.startswith("*.")]
        if self.demanded and names:
            wild = ", ".join(one for one in named if one.startswith("*."))
            self._tell(f"{wild}: nothing that is shown at a port proves it, so it is not asked for" if wild else "")
            return tuple(names)
        outside = await self._outside()
        names = names or outside
        found = tuple(names) if self.demanded else await self._reach.of(names, http=HTTP in kinds, outside=outside)
        left = ", ".join(one for one in names if one not in found)
        if not names:
            self._tell("no certificate is asked for: this machine has no public name or address, and a wildcard cannot be "
                       "proved on a port; set [doorway] public-url")
        elif left:
            self._tell(f"no certificate is asked for {left}: from the internet it does not lead to this machine; correct "
                       "the DNS or open the ports, or set [tls] mode = acme if it does")
        else:
            self._tell("")
        return found

    def _tell(self, reason: str) -> None:
        """Say why, once as long as it is the same."""
        if reason and reason != self._told:
            self._log.info("{reason}", reason=reason)
        self._told = reason

    async def _outside(self) -> list[str]:
        """The public addresses of this machine, or those that its cloud tells of. Only the cloud's own host is asked."""
        own = [one for one in own_addresses() if not ipaddress.ip_address(one).is_loopback]
        public = [one for one in own if public_name(one)]
        if public or not own:
            return public
        told = await Metadata(self._reactor, maker()).find()
        return [one for one in dict.fromkeys(canonical(entry.public) for entry in told) if public_name(one)]
