"""Small DICOM series and segmentations, written with pydicom and highdicom."""

from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

AXIAL = (1, 0, 0, 0, 1, 0)


def uid(*numbers: int) -> str:
    return ".".join(map(str, ("1.2.826.0.1.3680043.10.999", *numbers)))


def slice_file(
    path: Path,
    pixels: np.ndarray,
    *,
    position=(0.0, 0.0, 0.0),
    orientation=AXIAL,
    series: int = 1,
    number: int = 1,
    patient: str = "P1",
    **changes,
) -> FileDataset:
    """Write one slice; `changes` overwrite elements by keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = uid(series, 5, number)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.PatientID, data.PatientName, data.PatientBirthDate, data.PatientSex = patient, "A", "", ""
    data.StudyInstanceUID, data.SeriesInstanceUID = uid(9), uid(series)
    data.FrameOfReferenceUID = uid(8)
    data.StudyID, data.StudyDate, data.StudyTime, data.AccessionNumber = "1", "", "", ""
    data.ReferringPhysicianName, data.Modality = "", "CT"
    data.SeriesNumber, data.InstanceNumber = series, number
    data.Manufacturer, data.PositionReferenceIndicator = "", ""
    data.ImagePositionPatient, data.ImageOrientationPatient = list(position), list(orientation)
    data.PixelSpacing, data.SliceThickness = [1, 1], 2
    data.Rows, data.Columns = pixels.shape[:2]
    data.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    data.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        data.PlanarConfiguration = 0
    bits = 8 * pixels.itemsize
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()
    for name, value in changes.items():
        setattr(data, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return data


def volume(depth=3, height=8, width=10) -> np.ndarray:
    z, y, x = np.mgrid[:depth, :height, :width]
    return (100 * z + 10 * y + x).astype(np.int16)


def series(folder: Path, **changes) -> list[pydicom.Dataset]:
    """Write three slices whose names run against their positions; return them by position."""
    slices = [
        slice_file(
            folder / f"{9 - z}.dcm", plane, position=(0, 0, 2.5 * z), number=3 - z, **changes
        )
        for z, plane in enumerate(volume())
    ]
    return [pydicom.dcmread(data.filename) for data in slices]


def segmentation(
    path: Path, sources: list, mask: np.ndarray, labels: tuple[str, ...], kind="BINARY"
) -> None:
    """Write a segmentation [plane height width segment] of the slices."""
    algorithm = hd.AlgorithmIdentificationSequence(
        name="hand", version="1", family=codes.DCM.ArtificialIntelligence
    )
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number, label in enumerate(labels, 1)
    ]
    hd.seg.Segmentation(
        source_images=sources,
        pixel_array=mask,
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=uid(77),
        series_number=77,
        sop_instance_uid=uid(77, 1),
        instance_number=1,
        manufacturer="A",
        manufacturer_model_name="B",
        software_versions="1",
        device_serial_number="1",
    ).save_as(path)
