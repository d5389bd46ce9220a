"""What outgrow_checkpoint.py computes, for tests.

logits.py FOLDER TOKENS ...   logits of each checkpoint for the rows of token ids in a JSON file; as JSON
"""
import os
import sys

sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
import json
import pathlib

import torch
from outgrow_checkpoint import Outgrow


def main():
    torch.set_num_threads(1)
    with torch.no_grad():
        pairs = zip(sys.argv[1::2], sys.argv[2::2])
        rows = ((folder, torch.tensor(json.loads(pathlib.Path(tokens).read_text()))) for folder, tokens in pairs)
        print(json.dumps([Outgrow(folder)(ids).tolist() for folder, ids in rows]))


main()
