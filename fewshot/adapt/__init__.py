"""Gradient-based few-shot learning, through learn2learn: adapt the weights to the support set.

| method | what is adapted to a support set | what training learns |
|---|---|---|
| ANIL (`fewshot.heads.classifier`) | a linear layer on the features | its start, and the encoder |
| MAML, first-order MAML | every weight | their start |
| Meta-SGD | every weight | their start and a step size for each |
| Reptile | every weight | their start, by moving towards the adapted weights |
| fine-tuning | every weight | nothing; starts from ImageNet or any trained encoder |

They segment the same episodes with the same encoder as the metric heads, and are evaluated by the
same commands, so that "gradient or metric?" is a line in a table.
"""
