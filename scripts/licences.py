"""The licences of everything that programs of this workspace are built from: licences.py PACKAGE …"""

import json
import pathlib
import re
import subprocess
import sys

command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"]
metadata = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}

reached, open_ = set(), [i for i, package in packages.items() if package["name"] in sys.argv[1:]]
while open_:
    package = open_.pop()
    if package not in reached:
        reached.add(package)
        normal = [d for d in nodes[package]["deps"] if any(kind["kind"] is None for kind in d["dep_kinds"])]
        open_ += [d["pkg"] for d in normal]

texts = {}
for package in sorted((packages[i] for i in reached if packages[i]["source"]), key=lambda p: (p["name"], p["version"])):
    title = f'{package["name"]} {package["version"]} ({package["license"] or "see its text"})'
    folder = pathlib.Path(package["manifest_path"]).parent
    files = sorted(f for f in folder.iterdir() if f.is_file() and re.match(r"(?i)(licen[cs]e|copying|notice|unlicense)", f.name))
    for text in [f.read_text(errors="replace").strip() for f in files] or [f'Its archive holds no text; see {package["repository"]}']:
        texts.setdefault(text, []).append(title)

root = pathlib.Path(metadata["workspace_root"])
texts[(root / "crates/outgrow/page/uPlot.LICENSE").read_text().strip()] = ["uPlot, the page's charts (MIT)"]
for font in sorted((root / "crates/outgrow-report/fonts").glob("*LICEN*")):
    texts[font.read_text(errors="replace").strip()] = ["the figures' font"]
for text, titles in texts.items():
    print("\n".join(titles), "\n" + "-" * 80, f"\n{text}\n\n")
