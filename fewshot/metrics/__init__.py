"""Scores and statistics: one family a module, pure functions first, thin accumulators second.

Labels are NumPy arrays or torch tensors, results are NumPy; nothing here imports torch. Nothing
is re-exported: ``metrics.overlap.dice`` names the family of a score, and loads no other.

    from fewshot import metrics

    metrics.overlap.dice(metrics.overlap.confusion_matrix(predicted, truth, 2))

| module | what it holds |
|---|---|
| ``overlap`` | the confusion matrix, and Dice, IoU, precision, recall .. of every class |
| ``agreement`` | scores of the whole matrix: accuracies, FB-IoU, kappa, MCC, weighted means |
| ``surface``, ``boundary`` | Hausdorff, HD95, ASSD, MASD, NSD; boundary IoU |
| ``instances`` | F1, AP, DSB 2018 score, AJI, counts, from ``overlap_table`` and ``matching`` |
| ``panoptic`` | panoptic quality with void, stuff, things and crowds |
| ``ranking``, ``coco`` | ROC AUC, average precision of pixels; score-ranked mAP of objects |
| ``skeleton`` | centre-line Dice |
| ``calibration`` | expected calibration error, Brier score |
| ``accumulate``, ``averages`` | sums over batches and processes; means that count what they omit |
| ``bootstrap``, ``comparison``, ``stability`` | intervals, paired tests, rankings, sample size |
| ``report``, ``plots`` | one report: print it, save it, plot it |

One policy for what is empty, missing or ignored, the same in every module
---------------------------------------------------------------------------
1. Ignored. Pixels whose *reference* is ``ignore_index`` (255; ``None`` switches it off) are dropped
   before anything is counted, whatever was predicted there. A reference of 0 and 255 alone is
   refused as a black and white mask, unless ``ignore_index=255`` is given. An ``ignore_index`` in
   the prediction alone is an error: a method has to answer. Maps of objects, where 255 is an id
   like any other, take a mask ``ignored=`` instead; in panoptic maps 0 is void.
2. Undefined. What occurs in neither the reference nor the prediction has no score: the result is
   NaN, never 0 and never 1. Means ignore NaN and report their number (``undefined``).
3. Missing. What occurs in one of the two only has overlap 0 (Dice, IoU, precision, recall, F1, PQ
   and whatever else is an overlap) and distance ``inf``. A mean over ``inf`` is ``inf`` until the
   caller states a penalty with ``missing=``; a miss is never dropped silently.
4. One class only. Scores of agreement beyond chance (kappa, MCC, AUC) are NaN if only one class
   occurs at all.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
