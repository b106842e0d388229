r"""Compare rules that choose the support slice, by the Dice of whole volumes.

    python tools/match_rules.py DATA [--model FOLDER] [--fold 0] [--only liver] [--rules aligned] \
        [--recipe superpixels-walker]

One annotated support volume, every slice of every query volume of the fold segmented with the
support that a rule chooses, and refined as the recipe says at test time. Positions are learned from
the fold's training volumes. Prints one JSON object a rule; the two oracles look at the query's
truth and are bounds.
"""

import argparse
import json
from pathlib import Path

from episodes.measure import measure
from episodes.protocols import contract
from episodes.protocols.full_volume import FullVolumeSettings, full_volume
from episodes.protocols.score import score
from episodes.readers import read
from fewshot import recipes
from fewshot.commands.data import parse_names
from fewshot.counting import Truth, count_protocol, pooled
from fewshot.refine.settings import RefineSettings
from fewshot.saving import load_segmenter
from fewshot.segmenter import Segmenter
from fewshot.siamese.match_segment import (
    MatchThenSegment,
    Pooled,
    Rule,
    aligned,
    appearance,
    at_random,
    learned_position,
    oracle_overlap,
    oracle_position,
    proportional_place,
    whole_volumes,
)
from fewshot.siamese.position import fit_best_positions


def main() -> None:
    """Score the rules asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--classes", nargs="*", default=[])
    parser.add_argument("--only", nargs="*", default=[], help="classes to test")
    parser.add_argument("--rules", nargs="*", default=[])
    parser.add_argument("--recipe", help="whose refinement is used; by default none")
    arguments = parser.parse_args()
    at_test = recipes.settings_at_test(arguments.recipe) if arguments.recipe else {}
    refine = RefineSettings(**at_test)
    catalog = measure(read(arguments.data, legend=parse_names(tuple(arguments.classes))))
    chosen = FullVolumeSettings(
        fold=arguments.fold, classes=tuple(arguments.only), annotated="volume"
    )
    protocol = whole_volumes(full_volume(catalog, chosen), catalog)
    segmenter = load_segmenter(arguments.model) if arguments.model else Segmenter().eval()
    truth = Truth(catalog)
    pooled_of = Pooled(truth, segmenter)

    def learned() -> Rule:
        volumes = contract.volumes(protocol.train).values()
        features = [pooled_of(tuple(sample.key for sample in samples)) for samples in volumes]
        return learned_position(pooled_of, fit_best_positions(features))

    kinds = {
        "random": lambda: (at_random(0), 1, False),
        "proportional": lambda: (proportional_place, 1, False),
        "nearest features": lambda: (appearance(pooled_of, 0.0), 1, False),
        "nearest features, in order": lambda: (appearance(pooled_of, 0.0), 1, True),
        "features and place, in order": lambda: (appearance(pooled_of, 1.0), 1, True),
        "features and alignment, in order": lambda: (
            appearance(pooled_of, 1.0, aligned(pooled_of)),
            1,
            True,
        ),
        "learned position": lambda: (learned(), 1, False),
        "aligned": lambda: (aligned(pooled_of), 1, False),
        "aligned, three fused": lambda: (aligned(pooled_of), 3, False),
        "oracle position": lambda: (oracle_position(truth), 1, False),
        "oracle overlap": lambda: (oracle_overlap(truth), 1, False),
    }
    for name in arguments.rules or kinds:
        rule, top, ordered = kinds[name]()
        method = MatchThenSegment(truth, segmenter, rule, top=top, ordered=ordered, refine=refine)
        found = score(pooled(count_protocol(protocol, method, truth)), "subject")
        line = {"rule": name, "dice": round(100 * found.value, 2), "cases": len(protocol.cases)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
