"""Runs the code cells of a notebook in one namespace, without Jupyter: notebook.py NOTEBOOK. Prints its variable `table` as JSON."""
import json
import sys

import matplotlib

matplotlib.use("Agg")
with open(sys.argv[1]) as file:
    cells = json.load(file)["cells"]
names = {}
for cell in cells:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), names)
print(names["table"].reset_index().to_json(orient="records", double_precision=15))
