#!/usr/bin/env python3
"""Writes an OCI layout with one image of many small files: make-files-image.py LAYOUT TAG COUNT. The same arguments give the same bytes."""
import gzip
import hashlib
import io
import json
import os
import platform
import sys
import tarfile

layout, tag, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
blobs = os.path.join(layout, "blobs", "sha256")
os.makedirs(blobs, exist_ok=True)


def blob(media_type, content):
    digest = hashlib.sha256(content).hexdigest()
    with open(os.path.join(blobs, digest), "wb") as file:
        file.write(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def entry(name, kind, mode, size=0):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.mtime = kind, mode, size, 1_700_000_000
    return info


raw = io.BytesIO()
with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
    for number in range(count):
        if number % 100 == 0:
            tar.addfile(entry(f"files/{number // 100:04}", tarfile.DIRTYPE, 0o755))
        # every content differs, 64 to about 4,000 bytes, neither constant nor random
        seed = hashlib.sha256(str(number).encode()).hexdigest().encode()
        content = (seed + b"\n") * (1 + seed[0] * seed[1] % 61)
        tar.addfile(entry(f"files/{number // 100:04}/{number:06}.txt", tarfile.REGTYPE, 0o644, len(content)), io.BytesIO(content))
packed = io.BytesIO()
with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6, mtime=0) as stream:
    stream.write(raw.getvalue())

layer = blob("application/vnd.oci.image.layer.v1.tar+gzip", packed.getvalue())
architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
config = blob("application/vnd.oci.image.config.v1+json", json.dumps({
    "architecture": architecture, "os": "linux", "config": {"Entrypoint": ["/none"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(raw.getvalue()).hexdigest()]},
}).encode())
manifest = blob("application/vnd.oci.image.manifest.v1+json", json.dumps({
    "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer],
}).encode())
manifest["annotations"] = {"org.opencontainers.image.ref.name": tag}
with open(os.path.join(layout, "oci-layout"), "w") as file:
    json.dump({"imageLayoutVersion": "1.0.0"}, file)
with open(os.path.join(layout, "index.json"), "w") as file:
    json.dump({"schemaVersion": 2, "manifests": [manifest]}, file)
