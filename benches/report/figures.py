"""Figures as the programs print them, and their medians."""

import json
import statistics

# How much was done: not what tells one figure from another.
AMOUNTS = ("bytes", "count", "files")


class Figures:
    def __init__(self):
        self.values = {}

    def add(self, lines):
        for line in lines:
            same = {name: value for name, value in line["params"].items() if name not in AMOUNTS}
            key = (line["bench"], line["variant"], json.dumps(same, sort_keys=True), line["metric"])
            params, values = self.values.setdefault(key, (line["params"], []))
            values.append(line["value"])

    def summary(self):
        return Summary(
            {
                "bench": bench, "variant": variant, "params": params, "metric": metric, **spread(values),
            }
            for (bench, variant, _, metric), (params, values) in self.values.items()
        )  # fmt: skip


def spread(values):
    ordered = sorted(values)
    quartiles = statistics.quantiles(ordered, n=4, method="inclusive") if len(ordered) > 1 else ordered * 3
    return {
        "median": statistics.median(ordered), "lower_quartile": quartiles[0], "upper_quartile": quartiles[2],
        "min": ordered[0], "max": ordered[-1], "rounds": len(ordered),
    }  # fmt: skip


class Summary:
    def __init__(self, entries):
        self.entries = list(entries)

    def as_list(self):
        return self.entries

    def find(self, bench, metric, variant=None, **params):
        """The entries with these parameters, whatever others they have."""
        return [
            entry for entry in self.entries
            if entry["bench"] == bench and entry["metric"] == metric and variant in (None, entry["variant"])
            and all(entry["params"].get(name) == value for name, value in params.items())
        ]  # fmt: skip

    def median(self, bench, metric, variant, **params):
        found = self.find(bench, metric, variant, **params)
        return found[0]["median"] if found else None
