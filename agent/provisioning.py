"""Joins what provisioning works with; beside `main`, as its packages are an extra of their own."""

from __future__ import annotations

import time

from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.enrolment import ManagerDoor
from tinyfleet.agent.adapters.labels import LabelFolder
from tinyfleet.agent.adapters.probes import PyocdProbes
from tinyfleet.agent.adapters.provisioning_files import ProvisioningFiles
from tinyfleet.agent.adapters.signatures import verify_ecdsa
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.services.ports import Probes
from tinyfleet.agent.services.provisioner import Provisioner


def provisioner_of(folders: Folders, manager: str, probes: Probes | None = None) -> Provisioner:
    """`manager`: the address of its API. Raises AgentError: an address that is none, a package missing."""
    try:
        from tinyfleet.agent.adapters.identity import BoardIdentities
    except ModuleNotFoundError as error:
        raise AgentError(f"keys need {error.name}", "pip install 'tinyfleet[provision]'") from error
    return Provisioner(
        probes=PyocdProbes() if probes is None else probes,
        manager=ManagerDoor(manager),
        identities=BoardIdentities(),
        files=ProvisioningFiles(folders.provisioning),
        labels=LabelFolder(folders.labels),
        clock=SystemClock(),
        wait=time.sleep,
        verify=verify_ecdsa,
    )
