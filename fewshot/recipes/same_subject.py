r"""Is it the same subject? Supervised contrastive training on subjects, validated on others.

fewshot match train ../shared/data/sunnybrook/Train \
        --subject-pattern 'SC-[A-Z]+-[A-Z]*-?[0-9]+' --test-share 0 --min-gap 3 \
        --recipe same-subject --out runs/sunnybrook
fewshot match score ../shared/data/sunnybrook/Test \
        --subject-pattern 'SC-[A-Z]+-[A-Z]*-?[0-9]+' --min-gap 3 --model runs/sunnybrook/best \
        --result docs/results/matching.json --part sunnybrook --headline sunnybrook

1.8 minutes of processor time (150 steps; the best network on 6 validation subjects came after 50),
1,829 MiB. On 15 test subjects ROC-AUC 96.5 [92.2, 99.3], EER 11.5 % [4.5, 17.6], recall@1 99.7 %
[98.5, 100.0]; untrained ImageNet features 88.5, 21.4 and 96.9 (docs/results/matching.json).
"""

COMMAND = "match train"
SETTINGS = {
    "identity": "subject",
    "classes_per_batch": 8,
    "images_per_class": 4,
    "loss": "supervised-contrastive",
    "size": 128,
    "minutes": 0.0,
    "steps": 150,
    "learning_rate": 3e-4,
    "validate": 25,
}
