"""Tags that distinguish images of one DICOM series at the same position: echo, time, b-value."""

from collections.abc import Iterator
from typing import Any

CONTRASTS = (
    *("EchoNumbers", "ImageType", "FrameType", "ComplexImageComponent", "DiffusionBValue"),
    *("StackID", "EnergyWindowVector", "DetectorVector"),
)
"""Another value is another volume, whether or not its slices lie at the same places."""

TAGS = (
    *CONTRASTS,
    *("EchoTime", "EffectiveEchoTime", "TemporalPositionIdentifier", "TemporalPositionIndex"),
    *("NominalPercentageOfCardiacPhase", "NominalCardiacTriggerDelayTime", "TriggerTime"),
    *("FrameReferenceTime", "PhaseVector", "RRIntervalVector", "TimeSlotVector", "TimeSliceVector"),
    *("DiffusionGradientOrientation", "(0019,100C)", "(0043,1039)", "(2001,1003)"),
    *("InversionTime", "InversionTimes", "RepetitionTime", "FlipAngle", "AcquisitionNumber"),
    *("SliceThickness", "ConvolutionKernel", "KVP", "ReconstructionDiameter", "SequenceName"),
    *("ProtocolName", "ContrastBolusAgent", "AcquisitionDateTime", "FrameAcquisitionDateTime"),
    *("AcquisitionTime", "ContentTime", "DimensionIndexValues"),
)
"""Tags that are compared where slices have the same position, the most reliable first. Numbers are
b-values that Siemens, GE and Philips keep in elements of their own."""

TIMES = (
    *("TriggerTime", "NominalCardiacTriggerDelayTime", "FrameReferenceTime"),
    *("AcquisitionDateTime", "FrameAcquisitionDateTime", "AcquisitionTime"),
)
"""Those whose order at each position gives time points, even if their values differ by slice."""

_SPACE = ("ImagePositionPatient", "InStackPositionNumber", "ImageOrientationPatient")


def frame_groups(header: Any, frame: int) -> tuple[Any, ...]:
    """Return the functional groups of a frame, its own first; none in a classic file."""
    found = []
    for name, number in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        groups = header.get(name) or []
        if number < len(groups):
            found.append(groups[number])
    return tuple(found)


def marks_of(header: Any, frame: int) -> dict[str, str]:
    """Gather the values of `TAGS` that a frame has, as text.

    Args:
        header: a pydicom data set.
        frame: number of the frame, from 0.
    """
    holders = [header]
    for group in reversed(frame_groups(header, frame)):
        holders += [item for element in group if element.VR == "SQ" for item in element.value[:1]]
    marks: dict[str, str] = {}
    for holder in holders:  # the frame's own come last and stay
        for tag in TAGS:
            value = _value(holder, tag, frame)
            if value:
                marks[tag] = value
    if dimensions := _dimensions(header, frame):
        marks["DimensionIndexValues"] = dimensions
    return marks


def _value(holder: Any, tag: str, frame: int) -> str:
    if tag == "DimensionIndexValues":
        return ""
    if tag.startswith("("):
        element = holder.get((int(tag[1:5], 16), int(tag[6:10], 16)))
        value = None if element is None else element.value
    else:
        value = holder.get(tag)
    if value is None or value == "":
        return ""
    several = not isinstance(value, (str, bytes)) and hasattr(value, "__len__")
    if tag.endswith("Vector"):  # one number a frame
        return str(value[frame]) if several and frame < len(value) else ""
    return "-".join(map(str, value)) if several else str(value)


def _dimensions(header: Any, frame: int) -> str:
    """Return the index of a frame along the dimensions that are none of space."""
    for group in frame_groups(header, frame)[:1]:
        content = group.get("FrameContentSequence")
        values = content[0].get("DimensionIndexValues") if content else None
        if values is not None:
            numbers = values if hasattr(values, "__len__") else [values]
            kept = [
                str(n) for n, space in zip(numbers, _is_space(header), strict=False) if not space
            ]
            return "-".join(kept)
    return ""


def _is_space(header: Any) -> Iterator[bool]:
    from pydicom.datadict import keyword_for_tag

    for dimension in header.get("DimensionIndexSequence") or []:
        yield keyword_for_tag(dimension.DimensionIndexPointer) in _SPACE
