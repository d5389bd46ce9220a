"""Reads what `outgrow export` wrote with the programs that people use, and says what each found, as JSON.

exported.py tables FOLDER       rows, columns, types and sums of each Parquet, CSV and JSON lines file, by pandas, polars and DuckDB
exported.py tensorboard FOLDER  the scalars of each event file, by TensorBoard
"""
import json
import math
import pathlib
import sys


def tables(folder):
    import duckdb
    import pandas
    import polars

    read = {
        "pandas": dict(parquet=pandas.read_parquet, csv=pandas.read_csv, jsonl=lambda f: pandas.read_json(f, lines=True)),
        "polars": dict(parquet=polars.read_parquet, csv=lambda f: polars.read_csv(f, infer_schema_length=None),
                       jsonl=lambda f: polars.read_ndjson(f, infer_schema_length=None)),
        "duckdb": dict(parquet=duckdb.read_parquet, csv=duckdb.read_csv, jsonl=duckdb.read_json),
    }
    found = {}
    for path in sorted(folder.iterdir()):
        for program, formats in read.items():
            table = formats[path.suffix[1:]](str(path))
            frame = table if program == "pandas" else table.to_pandas() if program == "polars" else table.df()
            loss = frame["val_loss"].dropna().sum() if "val_loss" in frame else None
            types = {name: str(kind) for name, kind in frame.dtypes.items()} if path.suffix == ".parquet" else {}
            found[f"{path.name} {program}"] = dict(rows=len(frame), columns=list(frame.columns), loss=loss, types=types)
    return found


def tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        events = EventAccumulator(str(path), size_guidance=dict(scalars=0))
        events.Reload()
        scalars = {tag: [[e.step, e.value] for e in events.Scalars(tag) if math.isfinite(e.value)]
                   for tag in events.Tags()["scalars"]}
        found[str(path.relative_to(folder))] = scalars
    return found


command, folder = sys.argv[1:]
print(json.dumps({"tables": tables, "tensorboard": tensorboard}[command](pathlib.Path(folder)), default=float))
