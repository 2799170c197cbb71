#!/bin/bash
# OUT/linux.tar.xz: the newest source of Debian 12's Linux 6.1, with Debian's own patches; OUT/VERSION says which.
set -euo pipefail
. "$(dirname "$0")/private-apt.sh"

private_apt "$OUT/apt"
mkdir "$OUT/deb"
(cd "$OUT/deb" && apt-get "${apt_options[@]}" download linux-source-6.1)
dpkg-deb --fsys-tarfile "$OUT"/deb/*.deb | tar -xO ./usr/src/linux-source-6.1.tar.xz >"$OUT/linux.tar.xz"
dpkg-deb -f "$OUT"/deb/*.deb Version | tee "$OUT/VERSION"
rm -r "$OUT"/{apt,deb}
