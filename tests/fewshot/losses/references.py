"""Slow references: plain Python loops over pixels, written from the papers' formulae."""

import itertools
import math

import numpy as np

IGNORE = 255


def probabilities(logits):
    """Softmax over the first axis, one pixel after the other."""
    out = np.empty_like(logits, dtype=np.float64)
    for pixel in np.ndindex(logits.shape[1:]):
        column = [float(value) for value in logits[(slice(None), *pixel)]]
        top = max(column)
        exponentials = [math.exp(value - top) for value in column]
        for index, value in enumerate(exponentials):
            out[(index, *pixel)] = value / sum(exponentials)
    return out


def pixel_loss(value):
    """Make a per-pixel formula, value(p of all classes, label), a loss of one image."""

    def loss(logits, labels):
        soft = probabilities(logits)
        out = np.zeros(labels.shape)
        for pixel in np.ndindex(labels.shape):
            if labels[pixel] != IGNORE:
                out[pixel] = value(soft[(slice(None), *pixel)], int(labels[pixel]))
        return out

    return loss


def overlap(logits, labels, index):
    """Return TP, FP, FN and the number of known pixels of one class."""
    soft = probabilities(logits)
    hit = false_alarm = miss = 0.0
    known = 0
    for pixel in np.ndindex(labels.shape):
        if labels[pixel] == IGNORE:
            continue
        known += 1
        p = soft[(index, *pixel)]
        if labels[pixel] == index:
            hit, miss = hit + p, miss + 1 - p
        else:
            false_alarm += p
    return hit, false_alarm, miss, known


def region_loss(value):
    """Make a formula of one present class, value(TP, FP, FN), a loss of one image."""

    def loss(logits, labels, include_background=True, finish=lambda x: x):
        terms = []
        for index in range(0 if include_background else 1, logits.shape[0]):
            hit, false_alarm, miss, known = overlap(logits, labels, index)
            if known == 0:
                return 0.0
            present = (labels == index).any()
            terms.append(finish(value(hit, false_alarm, miss) if present else false_alarm / known))
        return sum(terms) / len(terms)

    return loss


def generalised_dice(logits, labels, power=2.0):
    counts = [int((labels == index).sum()) for index in range(logits.shape[0])]
    if sum(counts) == 0:
        return 0.0
    rarest = max(count**-power for count in counts if count)
    numerator = denominator = 0.0
    for index, count in enumerate(counts):
        weight = count**-power if count else rarest
        hit, false_alarm, miss, _ = overlap(logits, labels, index)
        numerator += weight * 2 * hit
        denominator += weight * (2 * hit + false_alarm + miss)
    return 1 - numerator / denominator


def lovasz(logits, labels):
    soft = probabilities(logits)
    pixels = [pixel for pixel in np.ndindex(labels.shape) if labels[pixel] != IGNORE]
    if not pixels:
        return 0.0
    total = 0.0
    for index in range(logits.shape[0]):
        errors = {p: abs((labels[p] == index) - soft[(index, *p)]) for p in pixels}
        wrong, before = set(), 0.0
        for pixel in sorted(pixels, key=lambda p: -errors[p]):
            wrong.add(pixel)
            after = jaccard_loss(labels, index, pixels, wrong)
            total += errors[pixel] * (after - before)
            before = after
    return total / logits.shape[0]


def jaccard_loss(labels, index, pixels, wrong):
    """Jaccard loss of one class if exactly the pixels in `wrong` are predicted wrongly."""
    actual = {p for p in pixels if labels[p] == index}
    predicted = actual ^ wrong
    union = actual | predicted
    return 1 - len(actual & predicted) / len(union) if union else 0.0


def distances(labels, classes):
    """Signed distances by comparing all pairs of pixels."""
    out = np.zeros((classes, *labels.shape))
    pixels = list(np.ndindex(labels.shape))
    for index in range(classes):
        for pixel in pixels:
            if labels[pixel] == IGNORE:
                continue
            inside = labels[pixel] == index
            others = [
                math.dist(pixel, other)
                for other in pixels
                if labels[other] != IGNORE and (labels[other] == index) != inside
            ]
            far = min(others) if others else math.hypot(*labels.shape)
            out[(index, *pixel)] = -far if inside else far
    return out


def boundary(logits, labels):
    soft, far = probabilities(logits), distances(labels, logits.shape[0])
    known = labels != IGNORE
    return float((soft * far)[:, known].mean()) if known.any() else 0.0


def skeleton(image, iterations, known):
    """Soft skeleton, algorithm 1 of Shit et al., over known pixels only."""

    def neighbours(pixel, block):
        for step in itertools.product((-1, 0, 1), repeat=image.ndim):
            other = tuple(a + b for a, b in zip(pixel, step, strict=True))
            inside = all(0 <= a < n for a, n in zip(other, image.shape, strict=True))
            if inside and known[other] and (block or sum(map(abs, step)) <= 1):
                yield other

    def sweep(source, pick, block):
        out = np.zeros_like(source)
        for pixel in np.ndindex(source.shape):
            if known[pixel]:
                out[pixel] = pick(source[other] for other in neighbours(pixel, block))
        return out

    skeleton = np.zeros_like(image)
    for _ in range(iterations + 1):
        eroded = sweep(image, min, block=False)
        removed = np.maximum(image - sweep(eroded, max, block=True), 0)
        skeleton = skeleton + np.maximum(removed - skeleton * removed, 0)
        image = eroded
    return skeleton * known


def cl_dice(logits, labels, iterations=3, smooth=1.0):
    soft, known = probabilities(logits), labels != IGNORE
    if not known.any():
        return 0.0
    terms = []
    for index in range(1, logits.shape[0]):
        actual, predicted = (labels == index).astype(float), soft[index] * known
        if not actual.any():
            terms.append(predicted.sum() / known.sum())
            continue
        line = skeleton(actual, iterations, known)
        line = line if line.any() else actual
        predicted_line = skeleton(predicted, iterations, known)
        precision = ((predicted_line * actual).sum() + smooth) / (predicted_line.sum() + smooth)
        sensitivity = ((line * predicted).sum() + smooth) / (line.sum() + smooth)
        terms.append(1 - 2 * precision * sensitivity / (precision + sensitivity))
    return sum(terms) / len(terms)
