"""Where things are in the guest: what the agent and whoever writes a container's spec agree on.

Paths of the guest are no paths of the host.
"""

from __future__ import annotations

from typing import Final

SHARE_PATH: Final = "/run/share"
"""Where the agent mounts the sandbox's virtiofs share in the guest."""
VOLUMES_NAME: Final = "@volumes"
"""The directory in the share with what several containers may have; no container's id."""
CONTAINERS_PATH: Final = "/run/enclos/containers"
"""Where the agent keeps a directory for each container, named by its id."""
SHM_PATH: Final = "/run/enclos/shm"
"""Below it in the guest is a tmpfs for each container that has an engine's /dev/shm."""
NOTICES_PATH: Final = "/run/enclos/notices"
"""Below it in the guest is a directory for each container that may say how it is getting on."""
NOTICES_NAME: Final = "notify.sock"
"""The socket in that directory."""
PROJECTIONS_PATH: Final = "/run/enclos/projections"
"""Below it in the guest is a directory for each container with projected volumes."""
PROJECTED_LINK: Final = "..data"
"""The link in such a volume that leads to its contents, and is replaced as a whole."""
INIT_LINK: Final = "init"
"""In that directory: a link to /proc/PID of its init while that lives, for others to join."""
PORTS_PATH: Final = "/sys/devices/pci0000:00/0000:00:10"
"""The guest's PCI Express ports: this, a full stop and the port's number."""
SPARE_SLOT: Final = 8
"""What the interface is called that a machine has from its start: no port's number."""
SPARE_PATH: Final = "/sys/devices/pci0000:00/0000:00:05.0"
"""Where the guest finds it."""
PORT_NAME: Final = "enclos.agent"
"""Name of the virtio-serial port, /dev/virtio-ports/NAME in the guest."""
LOCAL_PATH: Final = "/run/enclos/local"
"""Where the agent mounts the sandbox's own disk in the guest."""
LOCAL_SERIAL: Final = "local"
"""The serial number by which that disk is known."""
ROOTS_PATH: Final = "/run/enclos/roots"
"""Below it in the guest is a directory for each container whose root file system is a disk."""
NETWORKS_PATH: Final = "/run/enclos/net"
"""Where the agent keeps the containers' network namespaces; `of-ID` is a container's."""
BOOT_ID_PATH: Final = "/run/enclos/boot_id"
"""Where the agent keeps the clone's own boot id."""
CGROUP_PARENT: Final = "/enclos"
"""The cgroup of the guest below which the agent expects every container."""
