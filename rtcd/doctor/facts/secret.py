"""The secret that the daemon signs with, by the ini or from the state directory."""

from __future__ import annotations

import errno
import os

from rtcd.doctor.facts.subject import Subject
from rtcd.ice.credentials import SECRET_FILE, Credentials


def signer(subject: Subject) -> tuple[Credentials | None, str, str]:
    """What signs as the daemon does, where its secret is from, and why there is none."""
    settings = subject.section("credentials")
    for key in ("secret", "secret-file", "secret-separator"):
        if ("credentials", key) in subject.configuration.faulty:  # what stands in its place makes other names
            return None, "", f"[credentials] {key}: see what is said of the configuration"
    if settings.secret:
        given, source = settings.secret, "[credentials] secret"
    else:
        if subject.state is None:
            return None, "", f"{SECRET_FILE}: {os.strerror(errno.EACCES)}"
        path = subject.state / SECRET_FILE
        try:
            given, source = (path.read_text("utf-8").strip(),), str(path)
        except (OSError, ValueError) as error:
            return None, "", f"{path}: {getattr(error, 'strerror', None) or error}"
    try:
        return Credentials(given, settings.lifetime, settings.secret_separator), source, ""
    except ValueError as error:
        return None, "", f"{source}: {error}"
