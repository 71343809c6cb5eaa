"""Builds images with buildah: an archive and a bill of materials for each, and a table of sizes.

    python -m images [NAME …]     all images of images.toml, or those named

Environment: BASE_IMAGE, a Debian with Python; by default one is made with debian-base, once. SOURCE_DATE_EPOCH, by
default the commit's time. LEVEL_ZERO_PACKAGES, a directory with Debian packages of Intel's driver for
the sidecars that ask it. IMAGES_DIR, by default build/images.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from images.bill import bill, read_components
from images.context import HERE, make_context, make_wheel
from images.table import PROJECT, Image, images, version

OWN_BASE = "localhost/xpu-base"
EARLIEST = 1580601600  # of a wheel when there is no commit: zip archives know no time before 1980
ASK_THE_DRIVER = frozenset({"intel-gpu-levelzero", "intel-xpumanager-sidecar"})


def main(names: Sequence[str]) -> int:
    known = {image.name: image for image in images()}
    if unknown := [name for name in names if name not in known]:
        print(f"images: no image {unknown[0]!r}: expected {', '.join(known)}", file=sys.stderr)
        return 2
    directory = Path(os.environ.get("IMAGES_DIR") or PROJECT / "build/images").absolute()
    time = int(os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct") or EARLIEST)
    base = os.environ.get("BASE_IMAGE") or own_base()
    wheel = make_wheel(directory / "wheel", time)
    drivers = driver_packages()
    for name in names or known:
        context = directory / name
        make_context(known[name], context, wheel=wheel, drivers=drivers if name in ASK_THE_DRIVER else (), time=time)
        build(known[name], context, base=base, time=time)
        shutil.rmtree(context)
    return 0


def own_base() -> str:
    if subprocess.run(["buildah", "inspect", "--type", "image", OWN_BASE], check=False, capture_output=True).returncode:
        subprocess.run([HERE / "debian-base", OWN_BASE], check=True, stdout=sys.stderr)
    return OWN_BASE


def driver_packages() -> list[Path]:
    """The Debian packages of the driver that the environment names."""
    given = os.environ.get("LEVEL_ZERO_PACKAGES")
    if not given:
        return []
    packages = sorted(Path(given).glob("*.deb"))
    if not packages:
        raise SystemExit(f"images: LEVEL_ZERO_PACKAGES={given}: expected a directory with *.deb files")
    return packages


def build(image: Image, context: Path, *, base: str, time: int) -> None:
    archive, identity = context.with_suffix(".tar"), context / "identity"
    arguments = {"BASE_IMAGE": base, "VERSION": version(), "REVISION": _git("rev-parse", "HEAD")}
    given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    options = ["--isolation", "chroot", "--format", "oci", "--timestamp", str(time), "--layers=false"]
    command: list[str | Path] = ["buildah", "build", "-q", *options, *given, "--iidfile", identity, context]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    built = identity.read_text()
    archive.unlink(missing_ok=True)
    # As runtimes understand intel/…, so that an imported archive is what manifests name.
    target = f"docker-archive:{archive}:docker.io/intel/{image.name}:{version()}"
    subprocess.run(["buildah", "push", "-q", built, target], check=True)
    subprocess.run(["buildah", "rmi", built], check=True, stdout=subprocess.DEVNULL)
    document = bill(image.name, version(), image_id(archive), read_components(archive), time)
    context.with_suffix(".cdx.json").write_text(document)
    size, compressed = sizes(archive)
    print(
        f"{image.name:24} {size / 1e6:6.1f} MB, compressed {compressed / 1e6:5.1f} MB, {image_id(archive)}", flush=True
    )


def image_id(archive: Path) -> str:
    """The hash of the image's configuration, which holds those of its layers."""
    with tarfile.open(archive) as outer:
        manifest = outer.extractfile("manifest.json")
        assert manifest is not None
        (entry,) = json.load(manifest)
    return f"sha256:{entry['Config'].removesuffix('.json')}"


def sizes(archive: Path) -> tuple[int, int]:
    """Bytes as they are, and as a registry would keep them."""
    data = archive.read_bytes()
    return len(data), len(gzip.compress(data, 6))


def _git(*arguments: str) -> str:
    """What git says; nothing outside of a repository."""
    try:
        done = subprocess.run(["git", *arguments], check=False, capture_output=True, text=True, cwd=PROJECT)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
