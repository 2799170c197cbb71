# SPDX-License-Identifier: Apache-2.0
# The machine and the devices of the lab (src/Qemu.ts).
CONFIG_Q35=y
CONFIG_HPET=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_SERIAL=y
CONFIG_VIRTIO_9P=y
