r"""Omniglot's characters told apart from one drawing each.

fewshot match train ../shared/data/omniglot/images_background.zip \
        --recipe omniglot --out runs/omniglot
fewshot match omniglot ../shared/data/omniglot --model runs/omniglot --views 16 \
        --result docs/results/omniglot.json
"""

COMMAND = "match train"
SETTINGS = {
    "identity": "class",
    "test_share": 0.0,
    "turns": 8,
    "classes_a_batch": 64,
    "images_a_class": 2,
    "augment": "none",
    "loss": "arcface",
    "margin": 0.1,
    "scale": 20.0,
    "network": "small",
    "widths": (48, 96, 192),
    "ink": True,
    "size": 64,
    "pooling": "grid",
    "dim": 256,
    "centred": True,
    "minutes": 0.0,
    "steps": 6400,
    "learning_rate": 2e-3,
    "weight_decay": 0.05,
    "collapse": False,
}
